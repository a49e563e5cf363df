// Package tsc measures how fast the processor's time stamp counter counts. A guest of QEMU's own emulator sees that counter, and has no
// other clock by which it could find out.
package tsc

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

const (
	clockMonotonicRaw = 4
	// over is how long it is measured: an error of 1 µs in it is one of 10 ppm.
	over = 100 * time.Millisecond
	// tries around one reading of the clock, of which the quickest counts.
	tries = 16
)

// KHz measures for a tenth of a second. ENOTSUP where the processor has no such counter.
func KHz() (int64, error) {
	if !present {
		return 0, os.NewSyscallError("time stamp counter", syscall.ENOTSUP)
	}
	clock, count := both()
	time.Sleep(over)
	clockThen, countThen := both()
	return int64(float64(countThen-count)/float64(clockThen-clock)*1e6 + 0.5), nil
}

// both reads clock (ns) and counter as close together as can be.
func both() (clock int64, count uint64) {
	best := ^uint64(0)
	for i := 0; i < tries; i++ {
		before := read()
		now := raw()
		after := read()
		if after-before < best {
			best, clock, count = after-before, now, before+(after-before)/2
		}
	}
	return clock, count
}

func raw() int64 {
	var now syscall.Timespec
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonicRaw, uintptr(unsafe.Pointer(&now)), 0)
	return now.Nano()
}
