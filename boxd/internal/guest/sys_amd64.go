package guest

const sysFinitModule = 313
