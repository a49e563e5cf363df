package guest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestHostKeyIsOneThatOpenSSHReads(t *testing.T) {
	directory := t.TempDir()
	stale := filepath.Join(directory, "ssh_host_rsa_key")
	if err := os.WriteFile(stale, []byte("of another"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for try := 0; try < 2; try++ {
		if err := renewHostKey(directory); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(directory, "ssh_host_ed25519_key")
		derived, err := exec.Command("ssh-keygen", "-y", "-f", path).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, derived)
		}
		public, err := os.ReadFile(path + ".pub")
		if err != nil || strings.TrimSpace(string(derived)) != strings.TrimSpace(string(public)) {
			t.Fatalf("public key %q is not that of the private one, %q: %v", public, derived, err)
		}
		keys[string(public)] = true
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Error("the key of another machine is there")
	}
	if len(keys) != 2 {
		t.Error("the same key was made twice")
	}
}
