package api

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/gin-gonic/gin"

	"ackbox/web"
)

// ownHost is what may be named as a source in a policy: a name or an IPv4 address, perhaps with a port. A Host header may
// hold more than that, and a policy is a list with separators.
var ownHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?$`)

// chatPolicy lets the chat page run its own script and style, talk to its own server and show images, audio and video
// that it has read itself; nothing inline, and no other host. Old Safari's 'self' has no sockets in it, so they are named.
func chatPolicy(host string) string {
	sockets := ""
	if ownHost.MatchString(host) {
		sockets = " ws://" + host + " wss://" + host
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src blob:; connect-src 'self'" + sockets + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// chatFile is a file of the chat page, as it is and gzipped.
type chatFile struct {
	page
	packed []byte
	cache  string
}

func newChatFile(name string, body []byte) (chatFile, error) {
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return chatFile{}, err
	}
	if _, err := w.Write(body); err != nil {
		return chatFile{}, err
	}
	if err := w.Close(); err != nil {
		return chatFile{}, err
	}
	f := chatFile{page: newPage(name, body), packed: packed.Bytes(), cache: "no-cache"}
	if strings.HasPrefix(name, "assets/") {
		f.cache = "public, max-age=31536000, immutable" // the name has the content's hash
	}
	return f, nil
}

func (f chatFile) serve(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", chatPolicy(c.Request.Host))
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

// registerChat serves the chat page at / with what it loads.
func (a *API) registerChat() error {
	dist, err := fs.Sub(web.Chat, "chat/dist")
	if err != nil {
		return fmt.Errorf("chat: %w", err)
	}
	assets := map[string]chatFile{}
	a.engine.GET("/assets/:name", func(c *gin.Context) {
		file, known := assets[c.Param("name")]
		if !known {
			a.noRoute(c)
			return
		}
		file.serve(c)
	})
	err = fs.WalkDir(dist, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(dist, name)
		if err != nil {
			return err
		}
		file, err := newChatFile(name, body)
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(name, "assets/"):
			assets[path.Base(name)] = file
		case name == "index.html":
			a.engine.GET("/", file.serve)
		default:
			a.engine.GET("/"+name, file.serve)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("chat: %w", err)
	}
	return nil
}
