-- Fences every load that is under way.
sequence = later()
floor = sequence
save()
return record()
