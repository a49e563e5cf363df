// Package selftest tries each operation once for real, in a folder of its own, and removes all of it.
package selftest

import (
	"context"
	"fmt"
	"os"
	"time"

	"gibil.dev/hostkit/internal/mount"
)

// Item is one thing that was tried.
type Item struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// tryLimit bounds each try: on a sick host a call may hang, and the others are worth knowing about.
const tryLimit = 15 * time.Second

// Run tries everything below dir.
func Run(dir string) ([]Item, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	root, err := os.MkdirTemp(dir, "selftest-")
	if err != nil {
		return nil, err
	}
	items := []Item{}
	for _, t := range []struct {
		name string
		work func(root string) (string, error)
	}{
		{"disk images", tryDisk},
		{"user namespaces", tryUserNamespace},
		{"overlays", tryOverlay},
		{"network namespaces", tryNetwork},
		{"commands", tryCommand},
		{"process watching", tryWatching},
	} {
		items = append(items, try(t.name, func() (string, error) { return t.work(root) }))
	}
	return items, clean(root)
}

func try(name string, work func() (string, error)) Item {
	begin := time.Now()
	type outcome struct {
		detail string
		err    error
	}
	ended := make(chan outcome, 1)
	go func() {
		detail, err := work()
		ended <- outcome{detail, err}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), tryLimit)
	defer cancel()
	select {
	case o := <-ended:
		if o.err != nil {
			return Item{name, false, o.err.Error()}
		}
		return Item{name, true, fmt.Sprintf("%s (%.1f ms)", o.detail, float64(time.Since(begin).Microseconds())/1000)}
	case <-ctx.Done():
		return Item{name, false, fmt.Sprintf("it did not end within %s", tryLimit)}
	}
}

// clean removes the folder, unless something is still mounted below: then a removal would empty that.
func clean(root string) error {
	left, err := mount.Table(root + "/")
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("still mounted: %v", left)
	}
	return os.RemoveAll(root)
}
