module gibil.dev/hostkit

go 1.19
