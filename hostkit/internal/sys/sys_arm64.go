package sys

const (
	sysSetns = 268
	sysStatx = 291
)
