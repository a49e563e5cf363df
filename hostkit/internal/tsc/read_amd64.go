package tsc

const present = true

func read() uint64
