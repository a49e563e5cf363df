package sys

const (
	sysStatx  = 291
	sysSyncfs = 267
)
