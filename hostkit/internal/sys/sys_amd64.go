package sys

const (
	sysSetns = 308
	sysStatx = 332
)
