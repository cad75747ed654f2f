package api

import (
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
	policy := index.Header().Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %s", policy)
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
