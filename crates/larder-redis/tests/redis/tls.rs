//! Servers that ask who comes, and that say who they are: TLS, accounts, a socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use larder_core::codec::{Plain, Safe};
use larder_core::store::{Put, Reading, Watcher};
use larder_core::{ErrorKind, Result, Store};
use larder_redis::{Redis, RedisBuilder, Transport};
use larder_testkit::Program;
use rcgen::{CertificateParams, Issuer, KeyPair};

use crate::faults::Liar;
use crate::news::{Notes, Told};
use crate::server::Server;
use crate::support::{Bench, Hand, builder, now, text, user};

/// Far longer than any operation takes that ends by its deadline of 90 ms.
const SOON: Duration = Duration::from_secs(10);

/// An authority, a certificate of a server called `localhost`, one of a client, and a stranger who vouches
/// for himself.
struct Certificates(PathBuf);

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params
}

impl Certificates {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("larder-tls-{}-{number}", std::process::id());
        let made = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&made.0).unwrap();
        let mut authority = params("authority");
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        made.write("ca", &authority.self_signed(&key).unwrap().pem(), &key);
        let issuer = Issuer::new(authority, key);
        for (file, name) in [("server", "localhost"), ("client", "shop")] {
            let key = KeyPair::generate().unwrap();
            let signed = params(name).signed_by(&key, &issuer).unwrap();
            made.write(file, &signed.pem(), &key);
        }
        let key = KeyPair::generate().unwrap();
        let stranger = params("stranger").self_signed(&key).unwrap();
        made.write("stranger", &stranger.pem(), &key);
        std::fs::write(made.0.join("nothing.pem"), "no certificate at all\n").unwrap();
        made
    }

    fn write(&self, name: &str, certificate: &str, key: &KeyPair) {
        std::fs::write(self.file(name), certificate).unwrap();
        std::fs::write(self.key(name), key.serialize_pem()).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.pem"))
    }

    fn key(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.key"))
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server with a port for TLS.
struct Guarded {
    server: Server,
    certificates: Certificates,
    port: u16,
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

impl Guarded {
    fn start(clients: &str) -> Option<Self> {
        Self::with(clients, &[])
    }

    fn with(clients: &str, options: &[&str]) -> Option<Self> {
        let (certificates, port) = (Certificates::new(), Program::free_port());
        let port_text = port.to_string();
        let files = ["server", "ca"].map(|name| certificates.file(name));
        let key = certificates.key("server");
        let mut words = vec![
            "--tls-port",
            &port_text,
            "--tls-cert-file",
            shown(&files[0]),
            "--tls-key-file",
            shown(&key),
            "--tls-ca-cert-file",
            shown(&files[1]),
            "--tls-auth-clients",
            clients,
            "--user",
            "shop",
            "on",
            ">p@ss:w/rd",
            "~*",
            "&*",
            "+@all",
        ];
        words.extend(options);
        let server = Server::with(&words)?;
        let end = Instant::now() + SOON;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "no server listens for TLS");
            thread::sleep(Duration::from_millis(5));
        }
        Some(Self {
            server,
            certificates,
            port,
        })
    }

    /// The URL with options; `{name}` in them is the file of that certificate.
    fn url(&self, options: &str) -> String {
        let mut options = options.to_owned();
        for name in ["ca", "server", "client", "stranger", "nothing"] {
            let (file, key) = (self.certificates.file(name), self.certificates.key(name));
            options = options.replace(&format!("{{{name}}}"), shown(&file));
            options = options.replace(&format!("{{{name}.key}}"), shown(&key));
        }
        format!("rediss://localhost:{}{options}", self.port)
    }
}

/// Stores and reads through each medium; the errors, where there are some.
fn use_it(url: &str) -> [Option<larder_core::Error>; 2] {
    let clock = Hand::at_present();
    let threads = builder(url, &clock).build(Safe).unwrap();
    let tasks = builder(url, &clock).build_tokio(Safe).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    [
        now(store_and_read(threads, &clock)).err(),
        runtime.block_on(store_and_read(tasks, &clock)).err(),
    ]
}

async fn store_and_read<T: Transport>(
    store: Redis<Safe, T>,
    clock: &std::sync::Arc<Hand>,
) -> Result<()> {
    let key = user("k");
    let _: Reading<Plain> = store.get(&key, &[]).await?;
    let bench = Bench {
        store,
        clock: std::sync::Arc::clone(clock),
    };
    // More than a record of TLS, a read and the buffers of the system take at once.
    let value = text(&"larder ".repeat(500_000));
    assert_eq!(bench.write(&key, value.clone(), &[]).await, Put::Stored);
    assert_eq!(bench.value(&key).await, Some(value));
    assert!(bench.remove(&key).await);
    assert_eq!(bench.value(&key).await, None);
    Ok(())
}

fn assert_fine(url: &str) {
    for error in use_it(url) {
        assert!(error.is_none(), "{url}: {error:?}");
    }
}

fn assert_refused(url: &str, reason: &str) {
    for error in use_it(url) {
        let error = error.unwrap_or_else(|| panic!("{url} was accepted"));
        assert_eq!(error.kind(), ErrorKind::Store, "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn a_server_that_proves_who_it_is() {
    let Some(guarded) = Guarded::start("no") else {
        return;
    };
    assert_fine(&guarded.url("?ca={ca}"));
    assert_fine(&guarded.url("/3?ssl_ca_certs={ca}&ssl_cert_reqs=required"));
    // Nobody vouches for the server whom the client trusts.
    assert_refused(&guarded.url("?ca={stranger}"), "UnknownIssuer");
    assert_fine(&guarded.url("?ca={stranger}&verify=no"));
    assert_fine(&guarded.url("?ssl_cert_reqs=none"));
    // It has another name.
    let by_number = guarded.url("?ca={ca}").replace("localhost", "127.0.0.1");
    assert_refused(&by_number, "not valid for name");
    assert_fine(&format!("{by_number}&verify=no"));
    // The authorities of the system have never heard of it.
    if Redis::builder(guarded.url("")).build(Safe).is_ok() {
        assert_refused(&guarded.url(""), "UnknownIssuer");
    }
}

#[test]
fn a_server_that_asks_for_a_certificate() {
    let Some(guarded) = Guarded::start("yes") else {
        return;
    };
    assert_fine(&guarded.url("?ca={ca}&cert={client}&key={client.key}"));
    assert_fine(&guarded.url("?ca={ca}&ssl_certfile={client}&ssl_keyfile={client.key}"));
    assert_refused(&guarded.url("?ca={ca}"), "no answer");
    assert_refused(
        &guarded.url("?ca={ca}&cert={stranger}&key={stranger.key}"),
        "no answer",
    );
}

#[test]
fn a_cluster_whose_nodes_prove_who_they_are() {
    let bus = Program::free_port().to_string();
    let options = [
        "--cluster-enabled",
        "yes",
        // Otherwise nodes name their other ports.
        "--tls-cluster",
        "yes",
        "--cluster-port",
        &bus,
        "--cluster-announce-hostname",
        "localhost",
        "--cluster-preferred-endpoint-type",
        "hostname",
    ];
    let Some(guarded) = Guarded::with("no", &options) else {
        return;
    };
    // A Cluster of one node, which has everything.
    let plain = format!("redis://127.0.0.1:{}", guarded.server.port());
    let mut client = redis::Client::open(plain)
        .unwrap()
        .get_connection()
        .unwrap();
    let mut slots = redis::cmd("CLUSTER");
    slots.arg("ADDSLOTSRANGE").arg(0).arg(16383);
    slots.exec(&mut client).unwrap();
    let url = guarded.url("?ca={ca}");
    let url = url.replace("rediss://", "rediss+cluster://shop:p%40ss%3Aw%2Frd@");
    let clock = Hand::at_present();
    let key = user("k");
    let end = Instant::now() + SOON;
    let store = builder(&url, &clock).build_cluster(Safe).unwrap();
    loop {
        let reading: Result<Reading<Plain>> = now(store.get(&key, &[]));
        match reading {
            Ok(_) => break,
            // The node takes a moment until it serves.
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
    }
    let stranger = url.replace("ca.pem", "stranger.pem");
    let store = builder(&stranger, &clock).build_cluster(Safe).unwrap();
    let reading: Result<Reading<Plain>> = now(store.get(&key, &[]));
    let error = reading.unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}

#[test]
fn accounts_and_their_passwords() {
    let Some(guarded) = Guarded::start("no") else {
        return;
    };
    let login = |login: &str, url: String| url.replace("://", &format!("://{login}@"));
    let encrypted = guarded.url("?ca={ca}");
    assert_fine(&login("shop:p%40ss%3Aw%2Frd", encrypted.clone()));
    assert_refused(&login("shop:hunter2", encrypted), "WRONGPASS");
    let plain = guarded.server.url();
    assert_fine(&login("shop:p%40ss%3Aw%2Frd", plain.clone()));
    assert_refused(&login("shop:hunter2", plain.clone()), "WRONGPASS");
    assert_refused(&login("nobody:p%40ss", plain), "WRONGPASS");
    let socket = guarded.server.unix_url();
    assert_fine(&format!("{socket}&username=shop&password=p%40ss:w/rd"));
    assert_refused(&format!("{socket}&user=shop&pass=hunter2"), "WRONGPASS");
}

#[test]
fn files_that_are_wrong_are_known_when_the_store_is_built() {
    let certificates = Certificates::new();
    let file = |name: &str| certificates.file(name).display().to_string();
    let (ca, client, nothing) = (file("ca"), file("client"), file("nothing"));
    let other_key = certificates.key("stranger").display().to_string();
    let options = [
        "ca=/no/such/file.pem".to_owned(),
        "ca=/no/such/file.pem&verify=no".to_owned(),
        format!("ca={nothing}"),
        format!("ca={ca}&cert=/no/such/file.pem"),
        format!("ca={ca}&cert={nothing}&key={other_key}"),
        format!("ca={ca}&cert={client}&key=/no/such/file.pem"),
        format!("ca={ca}&cert={client}&key={nothing}"),
        format!("ca={ca}&cert={client}&key={other_key}"),
        // A certificate without its key.
        format!("ca={ca}&cert={client}"),
        format!("ca={ca}&key={other_key}"),
    ];
    for options in options {
        let built = Redis::builder(format!("rediss://localhost?{options}")).build(Safe);
        let error = built.expect_err(&options);
        assert_eq!(error.kind(), ErrorKind::Config, "{options}");
        assert!(error.to_string().contains("(name "), "{error}");
    }
}

fn kind(store: &Redis<Safe>) -> Option<ErrorKind> {
    let start = Instant::now();
    let read: Result<Reading<Plain>> = now(store.get(&user("k"), &[]));
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    read.err().map(|error| error.kind())
}

async fn kind_of_task(builder: RedisBuilder) -> Option<ErrorKind> {
    let store = builder.build_tokio(Safe).unwrap();
    let start = Instant::now();
    let read: Result<Reading<Plain>> = store.get(&user("k"), &[]).await;
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    read.err().map(|error| error.kind())
}

#[tokio::test]
async fn a_handshake_that_never_ends_ends_by_the_deadline() {
    type Behaviour = fn(TcpStream, &AtomicBool);
    let silent: Behaviour = |mut stream, over| {
        while !over.load(Ordering::Relaxed) && stream.read(&mut [0; 4096]).is_ok_and(|n| n > 0) {}
    };
    let drips: Behaviour = |mut stream, over| {
        // The head of a record that may be long, and its bytes one by one.
        let bytes = [
            &b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb\x03\x03"[..],
            &[7; 400],
        ]
        .concat();
        for byte in bytes {
            if over.load(Ordering::Relaxed) || stream.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    };
    let garbage: Behaviour = |mut stream, _| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"-ERR unknown command\r\n");
    };
    let half: Behaviour = |mut stream, _| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"\x16\x03\x03\x00\x50\x02");
        let _ = stream.shutdown(std::net::Shutdown::Write);
        thread::sleep(Duration::from_millis(300));
    };
    let at_once: Behaviour = |stream, _| drop(stream);
    let cases = [
        (silent, ErrorKind::Timeout),
        (drips, ErrorKind::Timeout),
        (garbage, ErrorKind::Store),
        (half, ErrorKind::Store),
        (at_once, ErrorKind::Store),
    ];
    for (number, (behaviour, expected)) in cases.into_iter().enumerate() {
        let liar = Liar::new(behaviour);
        let url = liar.url.replace("redis://", "rediss://") + "?verify=no";
        // What fails does so long before the deadline, and nothing else does.
        let deadline = match expected {
            ErrorKind::Timeout => Duration::from_millis(200),
            _ => Duration::from_secs(60),
        };
        let builder = Redis::builder(&url).deadline(deadline);
        let store = builder.clone().build(Safe).unwrap();
        assert_eq!(kind(&store), Some(expected), "case {number}");
        assert!(store.transport().breaker().is_open());
        assert_eq!(kind(&store), Some(ErrorKind::Unavailable), "case {number}");
        let found = kind_of_task(builder).await;
        assert_eq!(found, Some(expected), "case {number}");
    }
}

#[test]
fn a_server_with_tls_that_freezes_comes_back() {
    let Some(guarded) = Guarded::start("no") else {
        return;
    };
    let store = Redis::builder(guarded.url("?ca={ca}"))
        .deadline(Duration::from_secs(2))
        .build(Safe)
        .unwrap();
    assert_eq!(kind(&store), None);
    guarded.server.freeze();
    assert_eq!(kind(&store), Some(ErrorKind::Timeout));
    assert_eq!(kind(&store), Some(ErrorKind::Unavailable));
    guarded.server.thaw();
    let end = Instant::now() + Duration::from_secs(60);
    while kind(&store).is_some() {
        assert!(Instant::now() < end, "the server is never used again");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The connection on which changes are told is encrypted too.
#[test]
fn changes_are_told_over_tls() {
    let Some(guarded) = Guarded::start("yes") else {
        return;
    };
    let url = guarded.url("?ca={ca}&cert={client}&key={client.key}");
    let clock = Hand::at_present();
    let bench = || Bench {
        store: builder(&url, &clock).build(Safe).unwrap(),
        clock: std::sync::Arc::clone(&clock),
    };
    let (ours, other) = (bench(), bench());
    let notes = std::sync::Arc::new(Notes::default());
    let watcher: std::sync::Arc<dyn Watcher> = notes.clone();
    assert!(Store::<Plain>::watch(
        &ours.store,
        std::sync::Arc::downgrade(&watcher)
    ));
    let told = |what: Told| {
        let end = Instant::now() + Duration::from_secs(60);
        while !notes.take(&what) {
            assert!(Instant::now() < end, "nobody was told of {what:?}");
            // A channel is opened when the server has answered somebody.
            let _ = now(ours.value(&user("k")));
            thread::sleep(Duration::from_millis(5));
        }
    };
    told(Told::Everything);
    assert_eq!(now(other.write(&user("k"), text("v"), &[])), Put::Stored);
    told(Told::Key(user("k")));
}

#[tokio::test]
async fn what_speaks_no_tls_and_what_speaks_nothing_else() {
    let Some(guarded) = Guarded::start("no") else {
        return;
    };
    // A server that waits for the rest of a line, and one that hangs up.
    let to_plain = format!("rediss://127.0.0.1:{}?verify=no", guarded.server.port());
    let to_tls = format!("redis://127.0.0.1:{}", guarded.port);
    for url in [to_plain, to_tls] {
        let expected = [Some(ErrorKind::Timeout), Some(ErrorKind::Store)];
        let found = kind(&Redis::builder(&url).build(Safe).unwrap());
        assert!(expected.contains(&found), "{url}: {found:?}");
        let found = kind_of_task(Redis::builder(&url)).await;
        assert!(expected.contains(&found), "{url}: {found:?}");
    }
}
