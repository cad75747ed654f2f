package web_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"ackbox/internal/testenv"
)

// The chat page in Chromium, against the real binary that has it embedded, on both backends.
func TestChat(t *testing.T) {
	npm(t, []string{
		"ACKBOX_TEST_BINARY=" + testenv.Binary(t),
		"ACKBOX_CHAT_MYSQL_DSN=" + testenv.MySQL(t),
		"ACKBOX_CHAT_REDIS_URL=" + testenv.Redis(t),
		"ACKBOX_CHAT_HISTORY=" + longHistory(t),
		"ACKBOX_SHOTS=" + shots(t, "chat"),
	}, "run", "--workspace", "chat", "test")
}

// What is embedded is what the sources make, and small enough: the build fails above the budget of a first load.
func TestChatIsFresh(t *testing.T) {
	isFresh(t, "chat", "ACKBOX_CHAT_DIST")
}

// isFresh builds a workspace into a folder that it is told in variable, and compares that with its committed dist.
func isFresh(t *testing.T, workspace, variable string) {
	t.Helper()
	buildClient(t)
	fresh := t.TempDir()
	npm(t, []string{variable + "=" + fresh}, "run", "--workspace", workspace, "build")
	want, have := files(t, fresh), files(t, filepath.Join(workspace, "dist"))
	for name, content := range want {
		if !bytes.Equal(have[name], content) {
			t.Errorf("%s/dist/%s is not what the sources make: run make web", workspace, name)
		}
	}
	for name := range have {
		if _, known := want[name]; !known {
			t.Errorf("%s/dist/%s is not made by the sources: run make web", workspace, name)
		}
	}
}

// files reads a folder, by path inside it.
func files(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	read := map[string][]byte{}
	root := os.DirFS(folder)
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(root, name)
		read[name] = body
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return read
}
