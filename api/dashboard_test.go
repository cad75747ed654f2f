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

func TestDashboardFiles(t *testing.T) {
	engine := gin.New()
	a := &API{engine: engine}
	if err := a.registerDashboard(); err != nil {
		t.Fatal(err)
	}
	get := func(address string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, address, nil))
		return w
	}
	for _, address := range []string{"/admin", "/admin/", "/admin/users/12", "/admin/index.html"} {
		w := get(address)
		if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-cache" || !strings.Contains(w.Body.String(), `<div id="root">`) {
			t.Errorf("GET %s is %d, %v: %s", address, w.Code, w.Header(), w.Body)
		}
		if policy := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(policy, "unsafe") {
			t.Errorf("the policy of %s is %s", address, policy)
		}
	}
	scripts, err := fs.Glob(web.Admin, "admin/dist/assets/*.js")
	if err != nil || len(scripts) < 10 {
		t.Fatalf("%d scripts: %v", len(scripts), err)
	}
	for _, script := range scripts {
		w := get("/admin/assets/" + path.Base(script))
		if w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/javascript") {
			t.Errorf("GET %s is %d, %v", script, w.Code, w.Header())
		}
	}
	if w := get("/admin/assets/Overview-older.js"); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "<div") {
		t.Errorf("a script of another version is %d: %s", w.Code, w.Body)
	}
	if w := get("/admin/icon.svg"); w.Code != http.StatusOK || w.Header().Get("Content-Type") != "image/svg+xml" {
		t.Errorf("the icon is %d, %v", w.Code, w.Header())
	}
}
