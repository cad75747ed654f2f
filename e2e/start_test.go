package e2e

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"ackbox/internal/testenv"
)

// TestRefusesToStart gives settings that must not run: the server ends at once, names every wrong one, and repeats no secret.
func TestRefusesToStart(t *testing.T) {
	t.Parallel()
	bin := testenv.Binary(t)
	const nowhere = "ackbox:hunter2hunter2@tcp(127.0.0.1:1)/ackbox"
	for name, want := range map[string]struct {
		env    []string
		named  []string
		hidden []string
	}{
		"MySQL without a secret": {[]string{"ACKBOX_MYSQL_DSN=" + nowhere}, []string{"ACKBOX_JWT_SECRET"}, []string{"hunter2"}},
		"Redis without a secret": {[]string{"ACKBOX_REDIS_URL=redis://:hunter2hunter2@127.0.0.1:1"}, []string{"ACKBOX_JWT_SECRET"}, []string{"hunter2"}},
		"a short secret":         {[]string{"ACKBOX_JWT_SECRET=q8w7e6r5t4"}, []string{"ACKBOX_JWT_SECRET"}, []string{"q8w7e6r5t4"}},
		"a repeated secret":      {[]string{"ACKBOX_JWT_SECRET=" + strings.Repeat("x", 40)}, []string{"ACKBOX_JWT_SECRET"}, nil},
		"several mistakes": {
			[]string{"ACKBOX_JWT_SECRET=short", "ACKBOX_ACK_MAX_ATTEMPTS=-1", "ACKBOX_RATE_LIMIT=sometimes", "ACKBOX_SWEEP_INTERVAL=-5s"},
			[]string{"ACKBOX_JWT_SECRET", "ACKBOX_ACK_MAX_ATTEMPTS", "ACKBOX_RATE_LIMIT", "ACKBOX_SWEEP_INTERVAL"}, nil,
		},
		"no duration": {[]string{"ACKBOX_ACK_TIMEOUT=soon"}, []string{"soon"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			dir := t.TempDir()
			cmd := exec.CommandContext(ctx, bin, "serve")
			cmd.Dir = dir
			cmd.Env = append([]string{"PATH=/usr/bin:/bin", "HOME=" + dir, "ACKBOX_HTTP_ADDR=" + testenv.Addr(t), "ACKBOX_DATA_DIR=" + dir + "/data"}, want.env...)
			cmd.WaitDelay = time.Second
			output, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if ctx.Err() != nil || !errors.As(err, &exit) {
				t.Fatalf("got %v, want an exit code other than 0: %s", err, output)
			}
			for _, text := range want.named {
				if !strings.Contains(string(output), text) {
					t.Errorf("the output doesn't name %s:\n%s", text, output)
				}
			}
			for _, text := range want.hidden {
				if strings.Contains(string(output), text) {
					t.Errorf("the output repeats the secret %s:\n%s", text, output)
				}
			}
		})
	}
}

// TestVersionNeedsNoSettings asks for the version on a machine whose settings are for serving, and wrong.
func TestVersionNeedsNoSettings(t *testing.T) {
	t.Parallel()
	binary := testenv.Binary(t) // first: building it takes its own time
	cmd := exec.CommandContext(within(t, patience), binary, "version")
	cmd.Env = []string{"PATH=/usr/bin:/bin", "ACKBOX_JWT_SECRET=short", "ACKBOX_RATE_LIMIT=sometimes"}
	output, err := cmd.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(output), "ackbox ") {
		t.Fatalf("got %v: %s", err, output)
	}
}
