//go:build !amd64

package tsc

const present = false

func read() uint64 { return 0 }
