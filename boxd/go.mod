module gibil.dev/boxd

go 1.19
