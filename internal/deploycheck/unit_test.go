package deploycheck

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"ackbox/config"
)

// TestMakeEnv: what the script writes starts everything, is nobody else's to read, and is never written over.
func TestMakeEnv(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "env")
	script, err := filepath.Abs(inRoot("deploy/make-env"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), script, file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	settings, seen := map[string]string{}, map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(line, "#") {
			settings[name] = value
			if value != "" && seen[value] {
				t.Errorf("%s is the same as another", name)
			}
			seen[value] = true
		}
	}
	for _, match := range regexp.MustCompile(`\$\{([A-Z_]+):\?`).FindAllStringSubmatch(read(t, "docker-compose.yml"), -1) {
		if len(settings[match[1]]) < 64 {
			t.Errorf("%s: got %q, want a random secret", match[1], settings[match[1]])
		}
	}
	if len(settings["ACKBOX_ADMIN_PASSWORD"]) != 64 || settings["ACKBOX_ADMIN_USERNAME"] != "admin" {
		t.Errorf("no admin account in %v", settings)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
	if err := exec.CommandContext(t.Context(), script, file).Run(); err == nil {
		t.Error("the script writes over a file")
	}
	if again, err := os.ReadFile(file); err != nil || string(again) != string(text) {
		t.Error("the file has changed")
	}
}

// TestUnit: the systemd unit gives the server the time that it may take, and no rights that it does not need.
func TestUnit(t *testing.T) {
	t.Parallel()
	text := read(t, "deploy/ackbox.service")
	unit := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(line, "#") {
			unit[name] += value + "\n"
		}
	}
	if stop, err := time.ParseDuration(strings.TrimSpace(unit["TimeoutStopSec"]) + "s"); err != nil || stop < 75*time.Second {
		t.Errorf("TimeoutStopSec: got %q; the drain delay may be a minute, and the stop takes up to 10 s more", unit["TimeoutStopSec"])
	}
	for name, want := range map[string]string{"DynamicUser": "yes", "NoNewPrivileges": "yes", "ProtectSystem": "strict", "CapabilityBoundingSet": "CAP_NET_BIND_SERVICE", "StateDirectory": "ackbox"} {
		if got := strings.TrimSpace(unit[name]); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	known := map[string]bool{}
	collect(reflect.TypeFor[config.Config](), known)
	for _, name := range regexp.MustCompile(`ACKBOX_[A-Z_]+`).FindAllString(text, -1) {
		if !known[name] && name != "ACKBOX_" {
			t.Errorf("%s is not a setting", name)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		return // systemd is not everywhere; what is above holds
	}
	file := filepath.Join(t.TempDir(), "ackbox.service") // with a program that exists here
	if err := os.WriteFile(file, []byte(strings.Replace(text, "/usr/local/bin/ackbox serve", "/bin/true", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", file).CombinedOutput(); err != nil || strings.Contains(string(out), "Unknown") {
		t.Errorf("systemd-analyze verify: %v: %s", err, out)
	}
}
