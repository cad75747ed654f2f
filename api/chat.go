package api

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/gin-gonic/gin"

	"ackbox/web"
)

// ownHost is what may be named as a source in a policy: a name or an IPv4 address, perhaps with a port. A Host header may
// hold more than that, and a policy is a list with separators.
var ownHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?$`)

// chatPolicy names the page's own sockets, which old Safari's 'self' has not in it.
func chatPolicy(host string) string {
	if !ownHost.MatchString(host) {
		return builtPolicy("")
	}
	return builtPolicy(" ws://" + host + " wss://" + host)
}

// registerChat serves the chat page at / with what it loads.
func (a *API) registerChat() error {
	files, err := builtFiles(web.Chat, "chat/dist", chatPolicy)
	if err != nil {
		return fmt.Errorf("chat: %w", err)
	}
	assets := map[string]builtFile{}
	a.engine.GET("/assets/:name", func(c *gin.Context) {
		file, known := assets[c.Param("name")]
		if !known {
			a.noRoute(c)
			return
		}
		file.serve(c)
	})
	for name, file := range files {
		switch {
		case strings.HasPrefix(name, "assets/"):
			assets[path.Base(name)] = file
		case name == "index.html":
			a.engine.GET("/", file.serve)
		default:
			a.engine.GET("/"+name, file.serve)
		}
	}
	return nil
}
