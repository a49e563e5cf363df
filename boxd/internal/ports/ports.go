// Package ports finds the listening TCP sockets of the box.
package ports

import (
	"bufio"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// Port is one listening socket. Pid and Process are nil when no process of the box has it open.
type Port struct {
	Port    int     `json:"port"`
	Address string  `json:"address"`
	Pid     *int    `json:"pid"`
	Process *string `json:"process"`
}

const stateListen = "0A" // TCP_LISTEN, include/net/tcp_states.h

// List reads from a proc filesystem, sorted by port. Sockets of the process self are left out: boxd's own is no port of the box.
func List(proc string, self int) []Port {
	byInode := map[string]Port{}
	for _, table := range []string{"tcp", "tcp6"} {
		readTable(filepath.Join(proc, "net", table), byInode)
	}
	list := []Port{}
	if len(byInode) == 0 {
		return list
	}
	owners := ownersOf(proc, byInode)
	for inode, port := range byInode {
		if owner, ok := owners[inode]; ok {
			if owner == self {
				continue
			}
			pid := owner
			port.Pid = &pid
			if name, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "comm")); err == nil {
				text := strings.TrimSpace(string(name))
				port.Process = &text
			}
		}
		list = append(list, port)
	}
	sort.Slice(list, func(i, j int) bool {
		if list[i].Port != list[j].Port {
			return list[i].Port < list[j].Port
		}
		return list[i].Address < list[j].Address
	})
	return list
}

// readTable reads the columns of proc(5): sl, local_address, rem_address, st, …, inode (the tenth).
func readTable(path string, into map[string]Port) {
	file, err := os.Open(path)
	if err != nil {
		return
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[3] != stateListen {
			continue
		}
		if address, port, ok := parseAddress(fields[1]); ok {
			into[fields[9]] = Port{Port: port, Address: address}
		}
	}
}

// parseAddress reads "0100007F:1F90": 32-bit words as this machine stores them, which is little endian wherever boxd runs.
func parseAddress(text string) (string, int, bool) {
	host, portText, ok := strings.Cut(text, ":")
	port, err := strconv.ParseUint(portText, 16, 16)
	raw, hexErr := hex.DecodeString(host)
	if !ok || err != nil || hexErr != nil || (len(raw) != net.IPv4len && len(raw) != net.IPv6len) {
		return "", 0, false
	}
	for i := 0; i < len(raw); i += 4 {
		raw[i], raw[i+1], raw[i+2], raw[i+3] = raw[i+3], raw[i+2], raw[i+1], raw[i]
	}
	return net.IP(raw).String(), int(port), true
}

// ownersOf finds for each inode the process with the lowest id that has the socket open.
func ownersOf(proc string, wanted map[string]Port) map[string]int {
	owners := map[string]int{}
	entries, err := os.ReadDir(proc)
	if err != nil {
		return owners
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join(proc, entry.Name(), "fd")
		fds, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			link, err := os.Readlink(filepath.Join(dir, fd.Name()))
			if err != nil || !strings.HasPrefix(link, "socket:[") {
				continue
			}
			inode := strings.TrimSuffix(strings.TrimPrefix(link, "socket:["), "]")
			if _, ok := wanted[inode]; !ok {
				continue
			}
			if known, ok := owners[inode]; !ok || pid < known {
				owners[inode] = pid
			}
		}
	}
	return owners
}
