package instance

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeApt puts an apt-get first on PATH that notes how it was called and whether services may start, and installs the
// program as `install` when asked to.
func fakeApt(t *testing.T, program string) (calls, policy string) {
	t.Helper()
	dir := t.TempDir()
	calls, policy = filepath.Join(dir, "calls"), filepath.Join(dir, "policy-rc.d")
	script := "#!/bin/sh\n" +
		"echo \"$DEBIAN_FRONTEND $*\" >>" + calls + "\n" +
		policy + "; echo \"services: $?\" >>" + calls + "\n" +
		"[ \"$1\" != install ] || { printf '#!/bin/sh\\n' >" + filepath.Join(dir, program) + "; chmod +x " + filepath.Join(dir, program) + "; }\n"
	if err := os.WriteFile(filepath.Join(dir, "apt-get"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return calls, policy
}

func TestInstallMissing(t *testing.T) {
	const program = "ackbox-imaginary-server"
	calls, policy := fakeApt(t, program)
	if err := install(t.Context(), []string{program}, true, policy); err != nil {
		t.Fatal(err)
	}
	if _, ok := find([]string{program}); !ok {
		t.Error("the program is not found after its installation")
	}
	text, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"noninteractive update -q",
		"services: 101",
		"noninteractive install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 mariadb-server redis-server",
		"services: 101",
	}
	if got := strings.TrimSpace(string(text)); got != strings.Join(want, "\n") {
		t.Errorf("calls: got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if _, err := os.Stat(policy); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the policy against services is still there: %v", err)
	}
	if err := install(t.Context(), []string{program}, true, policy); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(calls); err != nil || len(again) != len(text) {
		t.Errorf("installed again what another process has installed meanwhile: %s, %v", again, err)
	}
}

func TestInstallKeepsAPolicy(t *testing.T) {
	const program = "ackbox-imaginary-server"
	_, policy := fakeApt(t, program)
	const own = "#!/bin/sh\nexit 101 # the machine's own\n"
	if err := os.WriteFile(policy, []byte(own), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := install(t.Context(), []string{program}, true, policy); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(policy); err != nil || string(got) != own {
		t.Errorf("policy: got %q, %v", got, err)
	}
}

func TestMissingIsAHint(t *testing.T) {
	const program = "ackbox-imaginary-server"
	calls, policy := fakeApt(t, program)
	err := install(t.Context(), []string{program}, false, policy)
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "apt-get install") || !strings.Contains(err.Error(), MySQLVariable) {
		t.Errorf("got %v, want ErrMissing with what to do", err)
	}
	if _, err := os.Stat(calls); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an ordinary user's apt-get was run: %v", err)
	}
}
