package sys

const sysSetns = 308
