package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/gin-gonic/gin"

	"ackbox/model"
	"ackbox/web"
)

// pagePolicy keeps a page of the docs from asking any other host for anything.
// Swagger UI sets styles inline and carries its images as data.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// page is a file for browsers, in memory.
type page struct {
	media string
	tag   string // strong ETag
	body  []byte
}

func newPage(name string, body []byte) page {
	sum := sha256.Sum256(body)
	media := "text/plain; charset=utf-8"
	switch path.Ext(name) {
	case ".js":
		media = "text/javascript; charset=utf-8"
	case ".css":
		media = "text/css; charset=utf-8"
	case ".html":
		media = "text/html; charset=utf-8"
	case ".svg":
		media = "image/svg+xml"
	}
	return page{media: media, tag: `"` + hex.EncodeToString(sum[:12]) + `"`, body: body}
}

func (p page) serve(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // asked each time, answered with 304
	h.Set("ETag", p.tag)
	if c.GetHeader("If-None-Match") == p.tag {
		c.Status(http.StatusNotModified)
		return
	}
	c.Data(http.StatusOK, p.media, p.body)
}

// registerPages serves /docs and what it loads.
func (a *API) registerPages() error {
	pages := map[string]page{}
	names, err := fs.Glob(web.Docs, "docs/*")
	if err != nil {
		return fmt.Errorf("docs: %w", err)
	}
	for _, name := range names {
		body, err := fs.ReadFile(web.Docs, name)
		if err != nil {
			return fmt.Errorf("docs: %w", err)
		}
		pages[path.Base(name)] = newPage(name, body)
	}
	for name, data := range map[string]any{"errors": errorPages(), "push": map[string]any{
		"Address": streamPath, "Description": streamDescription, "Query": streamQuery, "Frames": framePages(), "CloseCodes": closeCodes,
	}} {
		t, err := template.New(name).Parse(string(pages[name+".html"].body))
		if err != nil {
			return fmt.Errorf("docs: %w", err)
		}
		var text bytes.Buffer
		if err := t.Execute(&text, data); err != nil {
			return fmt.Errorf("docs: %w", err)
		}
		pages[name] = newPage(name+".html", text.Bytes())
		delete(pages, name+".html")
	}
	index := pages["index.html"]
	a.engine.GET("/docs", index.serve)
	a.engine.GET("/docs/:page", func(c *gin.Context) {
		p, known := pages[strings.TrimSuffix(c.Param("page"), "/")]
		if !known {
			a.noRoute(c)
			return
		}
		p.serve(c)
	})
	return nil
}

type errorPage struct {
	Code                string
	Status              int
	Title, What, Client string
}

func errorPages() []errorPage {
	codes := sortedCodes()
	pages := make([]errorPage, len(codes))
	for i, code := range codes {
		pages[i] = errorPageOf(code)
	}
	return pages
}

func errorPageOf(code model.Code) errorPage {
	m := meanings[code]
	return errorPage{Code: string(code), Status: m.status, Title: m.title, What: m.what, Client: m.client}
}
