// Package ops names the operations of the protocol.
package ops

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	"gibil.dev/hostkit/internal/disk"
	"gibil.dev/hostkit/internal/errno"
	"gibil.dev/hostkit/internal/inside"
	"gibil.dev/hostkit/internal/keyed"
	"gibil.dev/hostkit/internal/memory"
	"gibil.dev/hostkit/internal/mount"
	"gibil.dev/hostkit/internal/netns"
	"gibil.dev/hostkit/internal/procs"
	"gibil.dev/hostkit/internal/relay"
	"gibil.dev/hostkit/internal/remap"
	"gibil.dev/hostkit/internal/rpc"
	"gibil.dev/hostkit/internal/run"
	"gibil.dev/hostkit/internal/sweep"
	"gibil.dev/hostkit/internal/tsc"
	"gibil.dev/hostkit/internal/userns"
	"gibil.dev/hostkit/internal/uts"
)

// Version of the protocol and this program.
const Version = "1"

const (
	// worksAtOnce bounds the calls that hold a thread of the operating system, of which a Go program has no endless number.
	worksAtOnce = 64
	runsAtOnce  = 64
)

// op decodes the arguments, refusing names that it does not know: a caller's mistake must not pass as a default.
func op[A any](lane rpc.Lane, work func(context.Context, A) (any, error)) rpc.Operation {
	return rpc.Operation{Lane: lane, Do: func(ctx context.Context, raw json.RawMessage) (any, error) {
		var args A
		if len(raw) > 0 {
			decoder := json.NewDecoder(bytes.NewReader(raw))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&args); err != nil {
				return nil, errno.Invalidf("arguments: %v", err)
			}
		}
		return work(ctx, args)
	}}
}

func done[A any](lane rpc.Lane, work func(A) error) rpc.Operation {
	return op(lane, func(_ context.Context, args A) (any, error) { return nil, work(args) })
}

type diskCreate struct {
	Image   string `json:"image"`
	SizeMib int64  `json:"sizeMib"`
	From    string `json:"from"`
}

type diskMount struct {
	Image   string      `json:"image"`
	Target  string      `json:"target"`
	Options string      `json:"options"`
	IDMap   *userns.Map `json:"idmap"`
}

type diskSave struct {
	Image  string `json:"image"`
	To     string `json:"to"`
	Target string `json:"target"`
}

// diskTarget is where a disk is mounted.
type diskTarget struct {
	Target string `json:"target"`
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

type relayClose struct {
	Socket string `json:"socket"`
}

type memoryFile struct {
	Path string `json:"path"`
}

type insideList struct {
	Pid  int    `json:"pid"`
	Name string `json:"name"`
}

type procWatch struct {
	Pid int    `json:"pid"`
	Key string `json:"key"`
}

// Operations by name.
func Operations() map[string]rpc.Operation {
	works, runs := rpc.NewLane(worksAtOnce), rpc.NewLane(runsAtOnce)
	// Two calls at once for one place must not both find nothing there.
	var places keyed.Lock
	var relays relay.Relays
	at := func(path string, work func() error) error { return places.Do(filepath.Clean(path), work) }
	return map[string]rpc.Operation{
		"disk.create": done(works, func(a diskCreate) error { return disk.Create(a.Image, a.SizeMib, a.From) }),
		"disk.mount": done(works, func(a diskMount) error {
			return at(a.Target, func() error { return disk.Mount(a.Image, a.Target, a.Options, a.IDMap) })
		}),
		"disk.save": done(works, func(a diskSave) error {
			return at(a.Target, func() error { return disk.Save(a.Image, a.To, a.Target) })
		}),
		"disk.thaw": done(works, func(a diskTarget) error { return disk.Thaw(a.Target) }),
		"disk.abandon": done(works, func(a diskTarget) error {
			return at(a.Target, func() error { return disk.Abandon(a.Target) })
		}),
		"mount.prepare": done(works, mount.Prepare),
		"mount.overlay": done(works, func(a mount.Overlay) error { return at(a.Target, a.Mount) }),
		"mount.bind": done(works, func(a bind) error {
			return at(a.Target, func() error { return mount.Bind(a.Source, a.Target, a.Readonly) })
		}),
		"unmount": op(works, func(_ context.Context, a unmount) (any, error) {
			result := struct {
				Lazy bool `json:"lazy"`
			}{}
			err := at(a.Target, func() (err error) {
				result.Lazy, err = mount.Unmount(a.Target, a.Recursive)
				return err
			})
			return result, err
		}),
		"inside.mount":   done(works, inside.Mount),
		"inside.unmount": done(works, inside.Unmount),
		"inside.list": op(works, func(_ context.Context, a insideList) (any, error) {
			mounted, err := inside.List(a.Pid, a.Name)
			return map[string]any{"mounted": mounted}, err
		}),
		"net.create":    done(works, netns.Create),
		"net.rename":    done(works, netns.Rename),
		"net.withdraw":  done(works, netns.Withdraw),
		"net.destroy":   done(works, func(a netDestroy) error { return netns.Destroy(a.Netns, a.Host) }),
		"run.start":     op(runs, func(ctx context.Context, a run.Command) (any, error) { return run.Start(ctx, a) }),
		"proc.hostname": done(works, uts.Name),
		"proc.watch": op(nil, func(ctx context.Context, a procWatch) (any, error) {
			return map[string]string{"key": a.Key}, procs.Wait(ctx, a.Pid)
		}),
		"relay.open":     done(works, relays.Open),
		"relay.close":    done(works, func(a relayClose) error { return relays.Close(a.Socket) }),
		"memory.replace": op(works, func(_ context.Context, a remap.Request) (any, error) { return remap.Replace(a) }),
		"memory.save":    op(works, func(_ context.Context, a memory.Request) (any, error) { return memory.Save(a) }),
		"memory.check":   op(works, func(_ context.Context, a memoryFile) (any, error) { return memory.Check(a.Path) }),
		"host.tsc": op(works, func(context.Context, struct{}) (any, error) {
			khz, err := tsc.KHz()
			return map[string]int64{"khz": khz}, err
		}),
		"sweep.list": op(works, func(_ context.Context, a sweep.Query) (any, error) { return sweep.List(a) }),
		"ping": op(nil, func(context.Context, struct{}) (any, error) {
			return map[string]any{"version": Version, "pid": os.Getpid()}, nil
		}),
	}
}
