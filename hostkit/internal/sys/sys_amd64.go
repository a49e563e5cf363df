package sys

const (
	sysStatx  = 332
	sysSyncfs = 306
)
