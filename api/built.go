package api

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// builtPolicy lets a page that Vite has built run its own script and style, talk to its own server, and show images, audio and video that it
// has read itself; nothing inline, and no other host. More is what else it may talk to.
func builtPolicy(more string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src blob:; connect-src 'self'" + more + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// builtFile is a file of a page that Vite has built, as it is and gzipped.
type builtFile struct {
	page
	packed []byte
	cache  string
	policy func(host string) string
}

func newBuiltFile(name string, body []byte, policy func(host string) string) (builtFile, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return builtFile{}, err
	}
	if _, err := w.Write(body); err != nil {
		return builtFile{}, err
	}
	if err := w.Close(); err != nil {
		return builtFile{}, err
	}
	f := builtFile{page: newPage(name, body), packed: packed.Bytes(), cache: "no-cache", policy: policy}
	if strings.HasPrefix(name, "assets/") {
		f.cache = "public, max-age=31536000, immutable" // the name has the content's hash
	}
	return f, nil
}

func (f builtFile) serve(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", f.policy(c.Request.Host))
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", f.cache)
	h.Set("Vary", "Accept-Encoding")
	body, tag := f.body, f.tag
	if strings.Contains(c.GetHeader("Accept-Encoding"), "gzip") {
		body, tag = f.packed, strings.TrimSuffix(f.tag, `"`)+`-gzip"` // other bytes, another strong tag
	}
	h.Set("ETag", tag)
	if c.GetHeader("If-None-Match") == tag {
		c.Status(http.StatusNotModified)
		return
	}
	if tag != f.tag {
		h.Set("Content-Encoding", "gzip")
	}
	c.Data(http.StatusOK, f.media, body)
}

// builtFiles reads the files that Vite has put into a folder, by path inside it. They are served with the policy for the
// host that was asked.
func builtFiles(from fs.FS, folder string, policy func(host string) string) (map[string]builtFile, error) {
	dist, err := fs.Sub(from, folder)
	if err != nil {
		return nil, err
	}
	files := map[string]builtFile{}
	err = fs.WalkDir(dist, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(dist, name)
		if err != nil {
			return err
		}
		files[name], err = newBuiltFile(name, body, policy)
		return err
	})
	return files, err
}
