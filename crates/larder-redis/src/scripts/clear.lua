-- Makes everything invalid. ARGV: candidate, the next generation.
sequence = later()
generation = ARGV[2]
floor = sequence
save()
tell(KEYS[1])
return record()
