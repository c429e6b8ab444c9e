-- The catalogue that both demo sites serve: this one script creates it and fills it.
--
-- Every value follows from integer sequences (x -> x * m % 2147483647, one
-- multiplier and one seed for each column), never from random(), from the clock
-- or from the host language, so that every build on every machine holds the same
-- rows. No statement returns a row: sqlite3's executescript() and rusqlite's
-- execute_batch() both run it as it stands.
--
-- Run it on an empty file under a temporary name and rename that file when it is
-- complete. The demos keep it as demo/.data/catalogue-<digest>.sqlite3, <digest>
-- being the first 12 hex digits of this script's SHA-256.

PRAGMA synchronous = OFF;
PRAGMA temp_store = MEMORY;

BEGIN;

CREATE TABLE supplier (
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL,
    country   TEXT NOT NULL,
    lead_days INTEGER NOT NULL
);

CREATE TABLE category (
    id    INTEGER PRIMARY KEY,
    name  TEXT NOT NULL UNIQUE,
    blurb TEXT NOT NULL
);

CREATE TABLE product (
    id          INTEGER PRIMARY KEY,
    category_id INTEGER NOT NULL REFERENCES category (id),
    supplier_id INTEGER NOT NULL REFERENCES supplier (id),
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    stock       INTEGER NOT NULL
);

-- The current price. What a customer paid is kept in the order line.
CREATE TABLE price (
    product_id INTEGER PRIMARY KEY REFERENCES product (id),
    cents      INTEGER NOT NULL CHECK (cents > 0)
);

CREATE TABLE user (
    id     INTEGER PRIMARY KEY,
    handle TEXT NOT NULL UNIQUE,
    city   TEXT NOT NULL,
    about  TEXT NOT NULL
);

CREATE TABLE review (
    id         INTEGER PRIMARY KEY,
    product_id INTEGER NOT NULL REFERENCES product (id),
    user_id    INTEGER NOT NULL REFERENCES user (id),
    stars      INTEGER NOT NULL CHECK (stars BETWEEN 1 AND 5),
    body       TEXT NOT NULL,
    written_on TEXT NOT NULL
);

-- "order" is a word of SQL, so an order is a purchase here.
CREATE TABLE purchase (
    id         INTEGER PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES user (id),
    ordered_on TEXT NOT NULL
);

CREATE TABLE purchase_line (
    purchase_id INTEGER NOT NULL REFERENCES purchase (id),
    product_id  INTEGER NOT NULL REFERENCES product (id),
    quantity    INTEGER NOT NULL,
    cents_each  INTEGER NOT NULL,
    PRIMARY KEY (purchase_id, product_id)
) WITHOUT ROWID;

INSERT INTO category (id, name, blurb) VALUES
    (1, 'Desk lamps', 'Light where the work is.'),
    (2, 'Office chairs', 'For people who sit all day and would rather not notice.'),
    (3, 'Notebooks', 'Ruled, dotted, squared or left alone.'),
    (4, 'Pens & pencils', 'Things that make a line.'),
    (5, 'Kettles', 'From cold to boiling, by several routes.'),
    (6, 'Coffee makers', 'Drip, press, pour and pressure.'),
    (7, 'Tea', 'Leaves, and what to put them in.'),
    (8, 'Cookware', 'Heavy, even, and made to be handed on.'),
    (9, 'Kitchen knives', 'Sharp on arrival, easy to keep so.'),
    (10, 'Baking', 'Tins, scales and everything between.'),
    (11, 'Glassware', 'To drink from and to look through.'),
    (12, 'Table linen', 'Cloth for every day and for the other days.'),
    (13, 'Bedding', 'A third of your life happens here.'),
    (14, 'Towels', 'Thick, thin, large and small.'),
    (15, 'Rugs', 'Warmth underfoot.'),
    (16, 'Curtains', 'Daylight, on your terms.'),
    (17, 'Storage boxes', 'A place for it.'),
    (18, 'Shelving', 'More wall than you thought you had.'),
    (19, 'Wall clocks', 'The time, from across the room.'),
    (20, 'Picture frames', 'An edge for what you like.'),
    (21, 'Garden tools', 'Digging, cutting and carrying.'),
    (22, 'Plant pots', 'Homes for roots.'),
    (23, 'Seeds', 'Patience, in packets.'),
    (24, 'Bird feeders', 'Company for breakfast.'),
    (25, 'Bicycle parts', 'What wears out, and what should have been better.'),
    (26, 'Bicycle lights', 'To see, and to be seen.'),
    (27, 'Rucksacks', 'For a day or for a month.'),
    (28, 'Tents', 'A room that folds.'),
    (29, 'Camp kitchen', 'Hot food in cold places.'),
    (30, 'Rain wear', 'Dry, whatever the forecast.'),
    (31, 'Wool socks', 'The smallest luxury.'),
    (32, 'Hats & caps', 'From sun and from wind.'),
    (33, 'Hand tools', 'Simple machines for doing things properly.'),
    (34, 'Screws & fixings', 'What holds it all together.'),
    (35, 'Paint', 'One wall, one afternoon.'),
    (36, 'Headphones', 'Your own room, anywhere.'),
    (37, 'Radios', 'Someone is always talking.'),
    (38, 'Cables', 'The right end, for once.'),
    (39, 'Board games', 'An evening, boxed.'),
    (40, 'Jigsaw puzzles', 'Order, by hand.');

-- Six kinds of thing in every category, numbered 0 to 5.
CREATE TEMP TABLE noun (category_id INTEGER, k INTEGER, word TEXT, PRIMARY KEY (category_id, k)) WITHOUT ROWID;
INSERT INTO noun (category_id, k, word) VALUES
    (1, 0, 'Task Lamp'), (1, 1, 'Clamp Lamp'), (1, 2, 'Reading Lamp'), (1, 3, 'Banker Lamp'), (1, 4, 'Swing-arm Lamp'), (1, 5, 'Light Bar'),
    (2, 0, 'Swivel Chair'), (2, 1, 'Drafting Stool'), (2, 2, 'Mesh Chair'), (2, 3, 'Kneeling Chair'), (2, 4, 'Conference Chair'), (2, 5, 'Saddle Stool'),
    (3, 0, 'Pocket Notebook'), (3, 1, 'Sketchbook'), (3, 2, 'Ledger'), (3, 3, 'Dotted Journal'), (3, 4, 'Field Book'), (3, 5, 'Legal Pad'),
    (4, 0, 'Fountain Pen'), (4, 1, 'Rollerball'), (4, 2, 'Mechanical Pencil'), (4, 3, 'Pencil Set'), (4, 4, 'Fineliner'), (4, 5, 'Brush Pen'),
    (5, 0, 'Gooseneck Kettle'), (5, 1, 'Stovetop Kettle'), (5, 2, 'Travel Kettle'), (5, 3, 'Whistling Kettle'), (5, 4, 'Electric Kettle'), (5, 5, 'Cast Kettle'),
    (6, 0, 'Coffee Press'), (6, 1, 'Moka Pot'), (6, 2, 'Pour-over Stand'), (6, 3, 'Filter Machine'), (6, 4, 'Cold-brew Jug'), (6, 5, 'Hand Grinder'),
    (7, 0, 'Breakfast Tea'), (7, 1, 'Green Tea'), (7, 2, 'Oolong'), (7, 3, 'Rooibos'), (7, 4, 'Teapot'), (7, 5, 'Tea Strainer'),
    (8, 0, 'Frying Pan'), (8, 1, 'Saucepan'), (8, 2, 'Casserole'), (8, 3, 'Wok'), (8, 4, 'Griddle'), (8, 5, 'Stockpot'),
    (9, 0, 'Chef''s Knife'), (9, 1, 'Paring Knife'), (9, 2, 'Bread Knife'), (9, 3, 'Cleaver'), (9, 4, 'Whetstone'), (9, 5, 'Knife Block'),
    (10, 0, 'Loaf Tin'), (10, 1, 'Cake Ring'), (10, 2, 'Rolling Pin'), (10, 3, 'Kitchen Scale'), (10, 4, 'Mixing Bowl'), (10, 5, 'Proving Basket'),
    (11, 0, 'Tumbler'), (11, 1, 'Wine Glass'), (11, 2, 'Carafe'), (11, 3, 'Highball'), (11, 4, 'Decanter'), (11, 5, 'Jug & Glass Set'),
    (12, 0, 'Tablecloth'), (12, 1, 'Napkin Set'), (12, 2, 'Table Runner'), (12, 3, 'Place Mat'), (12, 4, 'Tea Towel'), (12, 5, 'Apron'),
    (13, 0, 'Duvet Cover'), (13, 1, 'Pillow'), (13, 2, 'Fitted Sheet'), (13, 3, 'Blanket'), (13, 4, 'Quilt'), (13, 5, 'Mattress Pad'),
    (14, 0, 'Bath Towel'), (14, 1, 'Hand Towel'), (14, 2, 'Beach Towel'), (14, 3, 'Bath Mat'), (14, 4, 'Face Cloth'), (14, 5, 'Bathrobe'),
    (15, 0, 'Hall Runner'), (15, 1, 'Round Rug'), (15, 2, 'Kilim'), (15, 3, 'Shag Rug'), (15, 4, 'Doormat'), (15, 5, 'Bedside Rug'),
    (16, 0, 'Blackout Curtain'), (16, 1, 'Voile'), (16, 2, 'Roman Blind'), (16, 3, 'Roller Blind'), (16, 4, 'Curtain Pole'), (16, 5, 'Tie-back'),
    (17, 0, 'Crate'), (17, 1, 'Lidded Box'), (17, 2, 'Basket'), (17, 3, 'Drawer Insert'), (17, 4, 'Archive Box'), (17, 5, 'Under-bed Box'),
    (18, 0, 'Wall Shelf'), (18, 1, 'Bookcase'), (18, 2, 'Corner Shelf'), (18, 3, 'Shelf Bracket'), (18, 4, 'Ladder Shelf'), (18, 5, 'Shoe Rack'),
    (19, 0, 'Wall Clock'), (19, 1, 'Station Clock'), (19, 2, 'Pendulum Clock'), (19, 3, 'Kitchen Timer Clock'), (19, 4, 'Flip Clock'), (19, 5, 'Cuckoo Clock'),
    (20, 0, 'Poster Frame'), (20, 1, 'Box Frame'), (20, 2, 'Double Frame'), (20, 3, 'Gallery Frame'), (20, 4, 'Clip Frame'), (20, 5, 'Frame & Mount'),
    (21, 0, 'Spade'), (21, 1, 'Secateurs'), (21, 2, 'Hand Fork'), (21, 3, 'Rake'), (21, 4, 'Watering Can'), (21, 5, 'Hoe'),
    (22, 0, 'Hanging Pot'), (22, 1, 'Window Box'), (22, 2, 'Planter'), (22, 3, 'Seed Tray'), (22, 4, 'Saucer'), (22, 5, 'Grow Bag'),
    (23, 0, 'Tomato Seeds'), (23, 1, 'Wildflower Mix'), (23, 2, 'Basil Seeds'), (23, 3, 'Sunflower Seeds'), (23, 4, 'Lettuce Seeds'), (23, 5, 'Pumpkin Seeds'),
    (24, 0, 'Seed Feeder'), (24, 1, 'Suet Cage'), (24, 2, 'Nectar Feeder'), (24, 3, 'Nest Box'), (24, 4, 'Bird Bath'), (24, 5, 'Feeding Table'),
    (25, 0, 'Chain'), (25, 1, 'Cassette'), (25, 2, 'Brake Pads'), (25, 3, 'Saddle'), (25, 4, 'Handlebar'), (25, 5, 'Pedals'),
    (26, 0, 'Front Light'), (26, 1, 'Rear Light'), (26, 2, 'Light Set'), (26, 3, 'Dynamo Light'), (26, 4, 'Helmet Light'), (26, 5, 'Spoke Reflector'),
    (27, 0, 'Daypack'), (27, 1, 'Rolltop Pack'), (27, 2, 'Trekking Pack'), (27, 3, 'Hip Pack'), (27, 4, 'Laptop Pack'), (27, 5, 'Rain Cover'),
    (28, 0, 'One-person Tent'), (28, 1, 'Two-person Tent'), (28, 2, 'Family Tent'), (28, 3, 'Tarp'), (28, 4, 'Bivvy'), (28, 5, 'Groundsheet'),
    (29, 0, 'Gas Stove'), (29, 1, 'Cook Set'), (29, 2, 'Spork'), (29, 3, 'Camp Mug'), (29, 4, 'Folding Bowl'), (29, 5, 'Fire Steel'),
    (30, 0, 'Rain Jacket'), (30, 1, 'Poncho'), (30, 2, 'Overtrousers'), (30, 3, 'Umbrella'), (30, 4, 'Wellingtons'), (30, 5, 'Sou''wester'),
    (31, 0, 'Ankle Socks'), (31, 1, 'Boot Socks'), (31, 2, 'Bed Socks'), (31, 3, 'Ski Socks'), (31, 4, 'Knee Socks'), (31, 5, 'Walking Socks'),
    (32, 0, 'Beanie'), (32, 1, 'Flat Cap'), (32, 2, 'Sun Hat'), (32, 3, 'Bucket Hat'), (32, 4, 'Beret'), (32, 5, 'Ear-flap Hat'),
    (33, 0, 'Claw Hammer'), (33, 1, 'Hand Plane'), (33, 2, 'Tenon Saw'), (33, 3, 'Chisel Set'), (33, 4, 'Spirit Level'), (33, 5, 'Screwdriver'),
    (34, 0, 'Wood Screws'), (34, 1, 'Nuts & Bolts'), (34, 2, 'Wall Plugs'), (34, 3, 'Angle Brackets'), (34, 4, 'Panel Pins'), (34, 5, 'Picture Hooks'),
    (35, 0, 'Wall Paint'), (35, 1, 'Wood Oil'), (35, 2, 'Primer'), (35, 3, 'Gloss Enamel'), (35, 4, 'Roller Set'), (35, 5, 'Brush Set'),
    (36, 0, 'Over-ear Headphones'), (36, 1, 'Earbuds'), (36, 2, 'Studio Monitors'), (36, 3, 'Sleep Buds'), (36, 4, 'Headset'), (36, 5, 'Ear Pads'),
    (37, 0, 'Kitchen Radio'), (37, 1, 'Pocket Radio'), (37, 2, 'World Receiver'), (37, 3, 'Clock Radio'), (37, 4, 'Wind-up Radio'), (37, 5, 'Shower Radio'),
    (38, 0, 'USB Cable'), (38, 1, 'Display Cable'), (38, 2, 'Network Cable'), (38, 3, 'Extension Lead'), (38, 4, 'Audio Cable'), (38, 5, 'Cable Clips'),
    (39, 0, 'Strategy Game'), (39, 1, 'Dice Game'), (39, 2, 'Card Game'), (39, 3, 'Word Game'), (39, 4, 'Travel Chess'), (39, 5, 'Draughts Set'),
    (40, 0, '500-piece Puzzle'), (40, 1, '1000-piece Puzzle'), (40, 2, '2000-piece Puzzle'), (40, 3, 'Wooden Puzzle'), (40, 4, 'Map Puzzle'), (40, 5, 'Puzzle Mat');

-- The words that names, descriptions and reviews are put together from, sixteen of a kind.
CREATE TEMP TABLE word (kind TEXT, k INTEGER, text TEXT, PRIMARY KEY (kind, k)) WITHOUT ROWID;
INSERT INTO word (kind, k, text) VALUES
    ('look', 0, 'Plain'), ('look', 1, 'Folding'), ('look', 2, 'Compact'), ('look', 3, 'Heavy'), ('look', 4, 'Slim'), ('look', 5, 'Classic'), ('look', 6, 'Everyday'), ('look', 7, 'Tall'),
    ('look', 8, 'Quiet'), ('look', 9, 'Sturdy'), ('look', 10, 'Light'), ('look', 11, 'Little'), ('look', 12, 'Broad'), ('look', 13, 'Round'), ('look', 14, 'Northern'), ('look', 15, 'Workshop'),
    ('shade', 0, 'Slate'), ('shade', 1, 'Amber'), ('shade', 2, 'Moss'), ('shade', 3, 'Ivory'), ('shade', 4, 'Rust'), ('shade', 5, 'Cobalt'), ('shade', 6, 'Chalk'), ('shade', 7, 'Plum'),
    ('shade', 8, 'Copper'), ('shade', 9, 'Walnut'), ('shade', 10, 'Linen'), ('shade', 11, 'Graphite'), ('shade', 12, 'Saffron'), ('shade', 13, 'Sage'), ('shade', 14, 'Coral'), ('shade', 15, 'Indigo'),
    ('animal', 0, 'otter'), ('animal', 1, 'heron'), ('animal', 2, 'badger'), ('animal', 3, 'lynx'), ('animal', 4, 'puffin'), ('animal', 5, 'marten'), ('animal', 6, 'curlew'), ('animal', 7, 'hare'),
    ('animal', 8, 'newt'), ('animal', 9, 'wren'), ('animal', 10, 'stoat'), ('animal', 11, 'plover'), ('animal', 12, 'vole'), ('animal', 13, 'osprey'), ('animal', 14, 'beaver'), ('animal', 15, 'finch'),
    ('city', 0, 'Aarhus'), ('city', 1, 'Porto'), ('city', 2, 'Ghent'), ('city', 3, 'Kraków'), ('city', 4, 'Graz'), ('city', 5, 'Tartu'), ('city', 6, 'Turku'), ('city', 7, 'Cork'),
    ('city', 8, 'Málaga'), ('city', 9, 'Bergen'), ('city', 10, 'Leipzig'), ('city', 11, 'Utrecht'), ('city', 12, 'Lyon'), ('city', 13, 'Trieste'), ('city', 14, 'Brno'), ('city', 15, 'Zürich'),
    ('made', 0, 'Made in small batches'), ('made', 1, 'Built to be repaired'), ('made', 2, 'Turned from one piece'), ('made', 3, 'Finished by hand'), ('made', 4, 'Cut from offcuts'), ('made', 5, 'Tested for ten years of use'), ('made', 6, 'Packed without plastic'), ('made', 7, 'Assembled to order'),
    ('made', 8, 'Cast in sand'), ('made', 9, 'Woven on old looms'), ('made', 10, 'Pressed cold'), ('made', 11, 'Sealed with linseed oil'), ('made', 12, 'Drawn up by its users'), ('made', 13, 'Sold with every spare part'), ('made', 14, 'Checked twice'), ('made', 15, 'Designed to nest'),
    ('for', 0, 'for narrow rooms'), ('for', 1, 'for a first flat'), ('for', 2, 'for people in a hurry'), ('for', 3, 'for long evenings'), ('for', 4, 'for wet weekends'), ('for', 5, 'for a shared house'), ('for', 6, 'for the left-handed too'), ('for', 7, 'for a lifetime'),
    ('for', 8, 'for early mornings'), ('for', 9, 'for the workshop'), ('for', 10, 'for the train'), ('for', 11, 'for those who already have one'), ('for', 12, 'for small hands'), ('for', 13, 'for the balcony'), ('for', 14, 'for hard water'), ('for', 15, 'for giving away'),
    ('verdict', 0, 'Does what it says.'), ('verdict', 1, 'I bought a second one.'), ('verdict', 2, 'Smaller than it looks.'), ('verdict', 3, 'Heavier than expected, in a good way.'), ('verdict', 4, 'The finish is lovely.'), ('verdict', 5, 'Took a while to get used to.'), ('verdict', 6, 'The lid does not quite fit.'), ('verdict', 7, 'Better than the one it replaced.'),
    ('verdict', 8, 'Arrived early & well packed.'), ('verdict', 9, 'One corner was scratched.'), ('verdict', 10, 'Exactly the colour in the picture.'), ('verdict', 11, 'It squeaks.'), ('verdict', 12, 'No complaints after a year.'), ('verdict', 13, 'I would pay more for it.'), ('verdict', 14, 'Simple, and that is the point.'), ('verdict', 15, 'Quality > price, for once.'),
    ('advice', 0, 'Measure first.'), ('advice', 1, 'Read the leaflet.'), ('advice', 2, 'Buy the larger size.'), ('advice', 3, 'Keep the box.'), ('advice', 4, 'Oil it once a year.'), ('advice', 5, 'Order spares with it.'), ('advice', 6, 'Wash it by hand.'), ('advice', 7, 'Do not lend it out.'),
    ('advice', 8, 'Wait for the next batch.'), ('advice', 9, 'Ask for the other handle.'), ('advice', 10, 'Give it a week.'), ('advice', 11, 'Let it dry flat.'), ('advice', 12, 'Two are better than one.'), ('advice', 13, 'Store it upright.'), ('advice', 14, 'Tighten the screws.'), ('advice', 15, 'Nothing to add.'),
    ('firm', 0, 'Harbour'), ('firm', 1, 'Nordhus'), ('firm', 2, 'Três Rios'), ('firm', 3, 'Blåvand'), ('firm', 4, 'Mill Lane'), ('firm', 5, 'Œuvre'), ('firm', 6, 'Kestrel'), ('firm', 7, 'Steinbach'),
    ('firm', 8, 'Oak & Iron'), ('firm', 9, 'Lumen'), ('firm', 10, 'Fjäll'), ('firm', 11, 'Quarry'), ('firm', 12, 'Ponte'), ('firm', 13, 'Tidewater'), ('firm', 14, 'Anvil'), ('firm', 15, 'Hollow'),
    ('trade', 0, 'Works'), ('trade', 1, 'Supply'), ('trade', 2, 'Brothers'), ('trade', 3, 'Cooperative'), ('trade', 4, 'Trading'), ('trade', 5, 'Foundry'), ('trade', 6, 'Workshop'), ('trade', 7, 'Goods'),
    ('trade', 8, 'Mill'), ('trade', 9, 'Makers'), ('trade', 10, 'Wholesale'), ('trade', 11, 'Guild'), ('trade', 12, 'Studio'), ('trade', 13, 'Depot'), ('trade', 14, 'Import'), ('trade', 15, 'Union'),
    ('country', 0, 'Denmark'), ('country', 1, 'Portugal'), ('country', 2, 'Belgium'), ('country', 3, 'Poland'), ('country', 4, 'Austria'), ('country', 5, 'Estonia'), ('country', 6, 'Finland'), ('country', 7, 'Ireland'),
    ('country', 8, 'Spain'), ('country', 9, 'Norway'), ('country', 10, 'Germany'), ('country', 11, 'Netherlands'), ('country', 12, 'France'), ('country', 13, 'Italy'), ('country', 14, 'Czechia'), ('country', 15, 'Switzerland');

INSERT INTO supplier (id, name, country, lead_days)
WITH RECURSIVE draw (n, a) AS (
    SELECT 1, 190271
    UNION ALL
    SELECT n + 1, a * 48271 % 2147483647 FROM draw WHERE n < 240
)
SELECT n,
       (SELECT text FROM word WHERE kind = 'firm' AND k = n % 16) || ' '
           || (SELECT text FROM word WHERE kind = 'trade' AND k = n / 16),
       (SELECT text FROM word WHERE kind = 'country' AND k = a % 16),
       1 + (a >> 8) % 30
  FROM draw;

INSERT INTO user (id, handle, city, about)
WITH RECURSIVE draw (n, a) AS (
    SELECT 1, 8675309
    UNION ALL
    SELECT n + 1, a * 48271 % 2147483647 FROM draw WHERE n < 4000
)
SELECT n,
       lower((SELECT text FROM word WHERE kind = 'shade' AND k = a % 16)) || '-'
           || (SELECT text FROM word WHERE kind = 'animal' AND k = (a >> 8) % 16) || '-' || n,
       (SELECT text FROM word WHERE kind = 'city' AND k = (a >> 16) % 16),
       'Buys things ' || (SELECT text FROM word WHERE kind = 'for' AND k = (a >> 20) % 16) || '.'
  FROM draw;

INSERT INTO product (id, category_id, supplier_id, name, description, stock)
WITH RECURSIVE draw (n, a, b, c) AS (
    SELECT 1, 314159265, 271828182, 141421356
    UNION ALL
    SELECT n + 1, a * 48271 % 2147483647, b * 69621 % 2147483647, c * 16807 % 2147483647
      FROM draw WHERE n < 50000
)
SELECT n,
       1 + a % 40,
       1 + b % 240,
       (SELECT text FROM word WHERE kind = 'look' AND k = (b >> 12) % 16) || ' '
           || (SELECT text FROM word WHERE kind = 'shade' AND k = (c >> 4) % 16) || ' '
           || (SELECT word FROM noun WHERE category_id = 1 + a % 40 AND k = (a >> 10) % 6) || ' '
           || (100 + c % 900),
       (SELECT text FROM word WHERE kind = 'made' AND k = (c >> 12) % 16) || ', '
           || (SELECT text FROM word WHERE kind = 'for' AND k = (b >> 20) % 16) || '. Ships from '
           || (SELECT text FROM word WHERE kind = 'country' AND k = (a >> 20) % 16) || '.',
       (c >> 20) % 500
  FROM draw;

-- Prices end in 99, 50 or 00 and lean towards the low end: 4 to 404, and 2 to 32
-- in the categories of small things.
INSERT INTO price (product_id, cents)
WITH RECURSIVE draw (n, a) AS (
    SELECT 1, 577215664
    UNION ALL
    SELECT n + 1, a * 69621 % 2147483647 FROM draw WHERE n < 50000
)
SELECT n,
       CASE WHEN category_id IN (3, 4, 7, 12, 23, 31, 34, 38)
            THEN 200 + (a % 30) * ((a >> 12) % 30) / 30 * 100
            ELSE 400 + (a % 400) * ((a >> 12) % 400) / 400 * 100 END
           + CASE (a >> 8) % 3 WHEN 0 THEN 99 WHEN 1 THEN 50 ELSE 0 END
  FROM draw JOIN product ON product.id = n;

-- Attention is uneven: a product of even draws leans towards rank 0, and 7919,
-- being coprime to 50000, scatters the ranks over the product ids.
INSERT INTO review (id, product_id, user_id, stars, body, written_on)
WITH RECURSIVE draw (n, a, b, c) AS (
    SELECT 1, 602214076, 662607015, 299792458
    UNION ALL
    SELECT n + 1, a * 48271 % 2147483647, b * 69621 % 2147483647, c * 16807 % 2147483647
      FROM draw WHERE n < 400000
)
SELECT n,
       1 + (a % 50000) * (b % 50000) / 50000 * 7919 % 50000,
       1 + (c >> 4) % 4000,
       CASE WHEN c % 100 < 46 THEN 5 WHEN c % 100 < 74 THEN 4 WHEN c % 100 < 88 THEN 3 WHEN c % 100 < 95 THEN 2 ELSE 1 END,
       (SELECT text FROM word WHERE kind = 'verdict' AND k = (b >> 8) % 16) || ' '
           || (SELECT text FROM word WHERE kind = 'advice' AND k = (a >> 12) % 16),
       date('2025-01-01', '+' || ((b >> 16) % 365) || ' days')
  FROM draw;

INSERT INTO purchase (id, user_id, ordered_on)
WITH RECURSIVE draw (n, a, b) AS (
    SELECT 1, 137035999, 180616395
    UNION ALL
    SELECT n + 1, a * 48271 % 2147483647, b * 69621 % 2147483647 FROM draw WHERE n < 200000
)
SELECT n,
       1 + (a % 4000) * (b % 4000) / 4000 * 1307 % 4000,
       date('2025-01-01', '+' || (n * 365 / 200001) || ' days')
  FROM draw;

-- One to four lines. The first follows popularity. The others are mostly near
-- neighbours of the first by id, so that some things are often bought together.
INSERT OR IGNORE INTO purchase_line (purchase_id, product_id, quantity, cents_each)
WITH RECURSIVE draw (n, a, b, c, d) AS (
    SELECT 1, 111317192, 232931374, 414347535, 545658769
    UNION ALL
    SELECT n + 1, a * 48271 % 2147483647, b * 69621 % 2147483647, c * 16807 % 2147483647, d * 39373 % 2147483647
      FROM draw WHERE n < 200000
), place (k) AS (VALUES (0), (1), (2), (3)
), line (purchase_id, product_id, quantity) AS (
    SELECT n,
           1 + ((a % 50000) * (b % 50000) / 50000 * (d % 50000) / 50000 * 7919
                + CASE WHEN k = 0 THEN 0
                       WHEN (c >> (k * 4)) % 4 < 3 THEN k * (1 + (c >> (k * 6)) % 5)
                       ELSE (c >> k) % 50000 END) % 50000,
           1 + ((c >> (k * 3)) % 8) / 6
      FROM draw JOIN place ON k <= (a >> 16) % 4
)
SELECT purchase_id, line.product_id, quantity, cents
  FROM line JOIN price ON price.product_id = line.product_id;

CREATE INDEX product_by_category ON product (category_id);
CREATE INDEX review_by_product ON review (product_id);
CREATE INDEX purchase_by_user ON purchase (user_id);
CREATE INDEX purchase_line_by_product ON purchase_line (product_id);

DROP TABLE noun;
DROP TABLE word;

COMMIT;

ANALYZE;
