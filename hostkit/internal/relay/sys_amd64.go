package relay

const sysSetns = 308
