-- Makes everything invalid. ARGV: candidate, the next generation.
sequence = later()
generation = ARGV[2]
floor = sequence
save()
return record()
