package guest

const (
	sysFinitModule = 313
	sysSetns       = 308
)
