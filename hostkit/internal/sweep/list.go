// Package sweep finds what is on the host by the prefixes of names.
package sweep

import (
	"os"
	"strings"

	"gibil.dev/hostkit/internal/mount"
)

// Query names the prefixes; an empty one finds nothing.
type Query struct {
	MountPrefix string `json:"mountPrefix"`
	LinkPrefix  string `json:"linkPrefix"`
	NetnsPrefix string `json:"netnsPrefix"`
}

// Found is what is there.
type Found struct {
	Mounts []string `json:"mounts"`
	Links  []string `json:"links"`
	Netns  []string `json:"netns"`
}

// List looks.
func List(q Query) (Found, error) {
	found := Found{Mounts: []string{}, Links: []string{}, Netns: []string{}}
	var err error
	if q.MountPrefix != "" {
		if found.Mounts, err = mount.Table(q.MountPrefix); err != nil {
			return found, err
		}
	}
	if found.Links, err = names("/sys/class/net", q.LinkPrefix); err != nil {
		return found, err
	}
	found.Netns, err = names("/run/netns", q.NetnsPrefix)
	return found, err
}

func names(dir, prefix string) ([]string, error) {
	matching := []string{}
	if prefix == "" {
		return matching, nil
	}
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return matching, nil
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), prefix) {
			matching = append(matching, entry.Name())
		}
	}
	return matching, err
}
