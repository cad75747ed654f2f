package main

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// TestWithoutATrace: a folder that cannot be used costs the trace and nothing else, and so does a setting.
func TestWithoutATrace(t *testing.T) {
	for name, args := range map[string]func(dir string) []string{
		"a folder that is none": func(dir string) []string {
			if err := os.WriteFile(filepath.Join(dir, "trace"), []byte("in the way"), 0o600); err != nil {
				t.Fatal(err)
			}
			return []string{"--data-dir=" + dir}
		},
		"off": func(string) []string { return []string{"--trace-retention=0"} },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, args(t.TempDir())...)
			if s.trace.On() {
				t.Fatal("there is a trace")
			}
			token, _ := register(t, s, "ada")
			_, bob := register(t, s, "bob")
			draft := map[string]any{"client_msg_id": "one", "to_user_id": bob, "type": "text", "body": map[string]any{"text": "hi"}}
			sent, _ := call(t, http.MethodPost, s.url("/v1/messages"), token, draft, http.StatusCreated)["message"].(map[string]any)
			id, _ := sent["message_id"].(string)
			own := call(t, http.MethodGet, s.url("/v1/messages/"+id+"/trace"), token, nil, http.StatusOK)
			if own["recipient_count"] != 1.0 {
				t.Errorf("what the tables say: %v", own)
			}
		})
	}
}
