package guest

const (
	sysFinitModule = 273
	sysSetns       = 268
)
