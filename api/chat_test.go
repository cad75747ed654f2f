package api

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"ackbox/web"
)

func TestChatFiles(t *testing.T) {
	engine := gin.New()
	a := &API{engine: engine}
	if err := a.registerChat(); err != nil {
		t.Fatal(err)
	}
	get := func(address string, header map[string]string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		for name, value := range header {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, r)
		return w
	}
	index := get("/", nil)
	if index.Code != http.StatusOK || index.Header().Get("Cache-Control") != "no-cache" || !strings.Contains(index.Body.String(), `<div id="root">`) {
		t.Fatalf("GET / is %d, %v: %s", index.Code, index.Header(), index.Body)
	}
	scripts, err := fs.Glob(web.Chat, "chat/dist/assets/*.js")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no script: %v", err)
	}
	address := "/assets/" + path.Base(scripts[0])
	script := get(address, map[string]string{"Accept-Encoding": "br, gzip"})
	if script.Code != http.StatusOK || script.Header().Get("Content-Encoding") != "gzip" || !strings.Contains(script.Header().Get("Cache-Control"), "immutable") {
		t.Fatalf("GET %s is %d, %v", address, script.Code, script.Header())
	}
	plain := get(address, nil)
	if plain.Header().Get("Content-Encoding") != "" || plain.Body.Len() <= script.Body.Len() || plain.Header().Get("ETag") == script.Header().Get("ETag") {
		t.Errorf("without gzip: %v", plain.Header())
	}
	again := get(address, map[string]string{"Accept-Encoding": "gzip", "If-None-Match": script.Header().Get("ETag")})
	if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("with the tag: %d", again.Code)
	}
}

func TestChatPolicy(t *testing.T) {
	engine := gin.New()
	a := &API{engine: engine}
	if err := a.registerChat(); err != nil {
		t.Fatal(err)
	}
	const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src blob:; connect-src 'self'%s; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	for host, sockets := range map[string]string{
		"chat.example.org":               " ws://chat.example.org wss://chat.example.org",
		"127.0.0.1:8080":                 " ws://127.0.0.1:8080 wss://127.0.0.1:8080",
		"[::1]:8080":                     "", // no source can be written so
		"":                               "",
		"*":                              "",
		"*.example.org":                  "",
		"a.example; script-src *":        "",
		"a.example,default-src":          "",
		"a.example 'unsafe-inline'":      "",
		"a.example:99999999":             "",
		strings.Repeat("a", 300):         "",
		"chat.example.org:8080/x?y":      "",
		"chat.example.org\r\nX-Own: yes": "",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, r)
		want := fmt.Sprintf(policy, sockets)
		if got := w.Header().Values("Content-Security-Policy"); w.Code != http.StatusOK || w.Header().Get("Referrer-Policy") != "no-referrer" || len(got) != 1 || got[0] != want {
			t.Errorf("to %q GET / is %d with the policies %q, not %q", host, w.Code, got, want)
		}
	}
}
