package guest

const sysFinitModule = 273
