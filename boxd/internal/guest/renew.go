package guest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const (
	sshDirectory = "/etc/ssh"
	hostKeyType  = "ssh-ed25519"
	// bootIDFile covers the kernel's own, which is made once and cannot be made anew.
	bootIDFile   = "/run/gibil/boot_id"
	kernelBootID = "/proc/sys/kernel/random/boot_id"
)

// renew makes anew what a machine with an init of its own has made of itself, and what tells it from every copy of it.
func renew() error {
	return do([]step{
		{"boot id", renewBootID},
		{"SSH host key", func() error { return renewHostKey(sshDirectory) }},
	})
}

// renewBootID does as systemd-nspawn does for a container, which has the kernel of another too. What is covered already stays covered.
func renewBootID() error {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	// A random one: RFC 9562, 5.4.
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	text := fmt.Sprintf("%x-%x-%x-%x-%x\n", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	_, missing := os.Lstat(bootIDFile)
	if err := os.WriteFile(bootIDFile, []byte(text), 0o444); err != nil || missing == nil {
		return err
	}
	return syscall.Mount(bootIDFile, kernelBootID, "", syscall.MS_BIND, "")
}

// renewHostKey leaves one key in the place of all: that of another machine would let either pass for the other.
func renewHostKey(directory string) error {
	if info, err := os.Stat(directory); err != nil || !info.IsDir() {
		return nil
	}
	old, err := filepath.Glob(filepath.Join(directory, "ssh_host_*_key*"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	check := make([]byte, 4)
	if _, err := rand.Read(check); err != nil {
		return err
	}
	path := filepath.Join(directory, "ssh_host_ed25519_key")
	if err := os.WriteFile(path, encodeHostKey(public, private, check), 0o600); err != nil {
		return err
	}
	line := hostKeyType + " " + base64.StdEncoding.EncodeToString(publicBlob(public)) + "\n"
	return os.WriteFile(path+".pub", []byte(line), 0o644)
}

func publicBlob(public ed25519.PublicKey) []byte { return words([]byte(hostKeyType), public) }

// encodeHostKey writes a key without a passphrase as OpenSSH does: PROTOCOL.key of its source.
func encodeHostKey(public ed25519.PublicKey, private ed25519.PrivateKey, check []byte) []byte {
	secret := append(append([]byte{}, check...), check...)
	secret = append(secret, words([]byte(hostKeyType), public, private, nil)...)
	for pad := byte(1); len(secret)%8 != 0; pad++ {
		secret = append(secret, pad)
	}
	body := append([]byte("openssh-key-v1\x00"), words([]byte("none"), []byte("none"), nil)...)
	body = append(body, 0, 0, 0, 1)
	body = append(body, words(publicBlob(public), secret)...)
	return pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: body})
}

// words are strings of SSH: RFC 4251, section 5.
func words(parts ...[]byte) []byte {
	var out []byte
	for _, part := range parts {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part)))
		out = append(out, part...)
	}
	return out
}
