package api

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gin-gonic/gin"

	"ackbox/web"
)

// registerDashboard serves the operators' page at /admin with what it loads. The page shows another view at each path
// below, so every path that is no file of it is the page itself.
func (a *API) registerDashboard() error {
	files, err := builtFiles(web.Admin, "admin/dist", func(string) string { return builtPolicy("") })
	if err != nil {
		return fmt.Errorf("dashboard: %w", err)
	}
	index, built := files["index.html"]
	if !built {
		return errors.New("dashboard: no index.html")
	}
	a.engine.GET("/admin", index.serve)
	a.engine.GET("/admin/*path", func(c *gin.Context) {
		name := strings.TrimPrefix(c.Param("path"), "/")
		file, known := files[name]
		switch {
		case known:
			file.serve(c)
		case strings.HasPrefix(name, "assets/"): // of an older version
			a.noRoute(c)
		default:
			index.serve(c)
		}
	})
	return nil
}
