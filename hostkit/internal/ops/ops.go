// Package ops names the operations of the protocol.
package ops

import (
	"bytes"
	"encoding/json"
	"os"

	"gibil.dev/hostkit/internal/disk"
	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/mount"
	"gibil.dev/hostkit/internal/netns"
	"gibil.dev/hostkit/internal/procs"
	"gibil.dev/hostkit/internal/rpc"
	"gibil.dev/hostkit/internal/run"
	"gibil.dev/hostkit/internal/sweep"
)

// Version of the protocol and this program.
const Version = "1"

// op decodes the arguments, refusing names that it does not know: a caller's mistake must not pass as a default.
func op[A any](work func(A) (any, error)) rpc.Handler {
	return func(raw json.RawMessage) (any, error) {
		var args A
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.DisallowUnknownFields()
		if len(raw) > 0 {
			if err := decoder.Decode(&args); err != nil {
				return nil, errno.Invalidf("arguments: %v", err)
			}
		}
		return work(args)
	}
}

func done[A any](work func(A) error) rpc.Handler {
	return op(func(args A) (any, error) { return nil, work(args) })
}

type diskCreate struct {
	Image   string `json:"image"`
	SizeMib int64  `json:"sizeMib"`
	From    string `json:"from"`
}

type diskMount struct {
	Image   string `json:"image"`
	Target  string `json:"target"`
	Options string `json:"options"`
}

type bind struct {
	Source   string `json:"source"`
	Target   string `json:"target"`
	Readonly bool   `json:"readonly"`
}

type unmount struct {
	Target    string `json:"target"`
	Recursive bool   `json:"recursive"`
}

type netDestroy struct {
	Netns string `json:"netns"`
	Host  string `json:"host"`
}

type procWatch struct {
	Pid int    `json:"pid"`
	Key string `json:"key"`
}

// Handlers by name.
func Handlers() map[string]rpc.Handler {
	return map[string]rpc.Handler{
		"disk.create":   done(func(a diskCreate) error { return disk.Create(a.Image, a.SizeMib, a.From) }),
		"disk.mount":    done(func(a diskMount) error { return disk.Mount(a.Image, a.Target, a.Options) }),
		"mount.overlay": done(mount.Overlay.Mount),
		"mount.bind":    done(func(a bind) error { return mount.Bind(a.Source, a.Target, a.Readonly) }),
		"unmount":       done(func(a unmount) error { return mount.Unmount(a.Target, a.Recursive) }),
		"net.create":    done(netns.Create),
		"net.destroy":   done(func(a netDestroy) error { return netns.Destroy(a.Netns, a.Host) }),
		"run.start":     op(func(a run.Command) (any, error) { return run.Start(a) }),
		"proc.watch": op(func(a procWatch) (any, error) {
			return map[string]string{"key": a.Key}, procs.Wait(a.Pid)
		}),
		"sweep.list": op(func(a sweep.Query) (any, error) { return sweep.List(a) }),
		"ping": op(func(struct{}) (any, error) {
			return map[string]any{"version": Version, "pid": os.Getpid()}, nil
		}),
	}
}
