package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"ackbox/model"
	"ackbox/service"
)

// The contents of files have no time for the whole: an upload and a download go on as long as each
// filePace takes no longer than fileTime (some 4 KiB/s). After an upload's last byte answerTime is left for the answer.
const (
	filePace   = 64 << 10
	fileTime   = 15 * time.Second
	answerTime = 2 * time.Minute
)

// filePolicy is for browsers that open a file as if it were a page: nothing in it runs or asks anybody.
const filePolicy = "sandbox; default-src 'none'; frame-ancestors 'none'"

// File is an uploaded file. As it is it can be the body of a message.
type File struct {
	FileID    model.FileID `json:"file_id"`
	Name      string       `json:"name" doc:"Without a path, and without what would hide its end"`
	Type      string       `json:"type" doc:"The media type, which the content has been compared with" example:"image/png"`
	Size      int64        `json:"size" minimum:"1" doc:"In bytes"`
	SHA256    string       `json:"sha256" doc:"Of the content, in hex"`
	URL       string       `json:"url" doc:"Where it is, on this server; it takes an access token of somebody who may see it"`
	Width     int64        `json:"width,omitempty" doc:"Of a JPEG, PNG, GIF or WebP image, in pixels, as it is stored"`
	Height    int64        `json:"height,omitempty" doc:"As width"`
	CreatedAt model.Millis `json:"created_at"`
}

// fileContent describes the bytes of a file.
type fileContent struct{}

// Schema of any bytes.
func (fileContent) Schema(r huma.Registry) *huma.Schema {
	r.Map()["FileContent"] = &huma.Schema{Type: huma.TypeString, Format: "binary", Description: "The bytes of the file, as they are"}
	return &huma.Schema{Ref: "#/components/schemas/FileContent"}
}

type (
	uploadInput struct {
		Name string `query:"name" maxLength:"200" doc:"What the file is called, for people; of a path only the last part is kept" example:"sunset.jpg"`
	}
	filePath struct {
		FileID Param[model.FileID] `path:"file_id"`
	}
	fileOutput struct{ Body File }

	fileLimitsOutput struct {
		Body struct {
			MaxBytes   int64    `json:"max_bytes" doc:"Of one file"`
			QuotaBytes int64    `json:"quota_bytes" doc:"Of all of a user's files together, each with 4 KiB more; 0: no bound"`
			Types      []string `json:"types" doc:"Media types that are taken"`
		}
	}
)

type requestKey struct{}

// unread gives the handler the request, whose body huma has not touched.
func unread(ctx huma.Context, next func(huma.Context)) {
	next(huma.WithValue(ctx, requestKey{}, humagin.Unwrap(ctx)))
}

func requestFrom(ctx context.Context) (*gin.Context, error) {
	c, known := ctx.Value(requestKey{}).(*gin.Context)
	if !known {
		return nil, errors.New("a call of files without its request")
	}
	return c, nil
}

func (a *API) registerFiles(h huma.API) {
	anything := map[string]*huma.MediaType{"application/octet-stream": {Schema: fileContent{}.Schema(h.OpenAPI().Components.Schemas)}}
	part := map[string]*huma.Param{"Content-Range": {Schema: &huma.Schema{Type: huma.TypeString}}}
	route(h, huma.Operation{
		OperationID: "upload-file", Method: http.MethodPost, Path: "/v1/files", Tags: []string{"files"}, DefaultStatus: http.StatusCreated, Middlewares: huma.Middlewares{unread},
		Summary:     "Upload a file",
		Description: "The body is the file as it is, with its own Content-Type (application/octet-stream without one) and its Content-Length. A message names it afterwards by its file_id. 413 file_too_large, 415 file_refused and 403 quota_exceeded: it is not taken. A file that no message names within a day is removed.",
	}, func(ctx context.Context, in *uploadInput) (*fileOutput, error) {
		c, err := requestFrom(ctx)
		if err != nil {
			return nil, err
		}
		if encoding := c.GetHeader("Content-Encoding"); encoding != "" && encoding != "identity" {
			return nil, model.NewError(model.CodeFileRefused, "the body must not be compressed by a Content-Encoding")
		}
		body := &paced{ReadCloser: c.Request.Body, control: http.NewResponseController(c.Writer)}
		file, err := a.deps.Files.Upload(ctx, service.Upload{Owner: CallerFrom(ctx).UserID, Name: in.Name, ContentType: c.GetHeader("Content-Type"), Size: c.Request.ContentLength, Content: body})
		if deadline := body.control.SetWriteDeadline(time.Now().Add(answerTime)); deadline != nil {
			a.log.Debug("write deadline of an upload's answer", "error", deadline)
		}
		if err != nil {
			return nil, err
		}
		return &fileOutput{File{
			FileID: file.ID, Name: file.Name, Type: file.Type, Size: file.Size, SHA256: file.SHA256, URL: "/v1/files/" + file.ID.String(), Width: file.Width, Height: file.Height, CreatedAt: file.CreatedAt,
		}}, nil
	})
	// Only now: what huma knows of a body it reads, as a whole, before the handler.
	h.OpenAPI().Paths["/v1/files"].Post.RequestBody = &huma.RequestBody{Required: true, Content: anything}
	route(h, huma.Operation{
		OperationID: "get-file-limits", Method: http.MethodGet, Path: "/v1/files/limits", Tags: []string{"files"},
		Summary: "What files may be uploaded",
	}, func(context.Context, *none) (*fileLimitsOutput, error) {
		out := &fileLimitsOutput{}
		out.Body.MaxBytes, out.Body.QuotaBytes, out.Body.Types = a.deps.Files.MaxBytes, a.deps.Files.Quota, a.deps.Files.Types
		return out, nil
	})
	route(h, huma.Operation{
		OperationID: "read-file", Method: http.MethodGet, Path: "/v1/files/{file_id}", Tags: []string{"files"}, Middlewares: huma.Middlewares{unread},
		Summary:     "Read a file",
		Description: "By who uploaded it, and by who sees a message that names it. Ranges and If-None-Match work. Images, audio and video of a few well-known types come as what they are; everything else is a download of the type application/octet-stream.",
		Responses: map[string]*huma.Response{
			"200": {Description: "The file", Content: anything}, "206": {Description: "A part of it", Content: anything, Headers: part},
			"304": {Description: "What the client has is still the file"},
		},
	}, func(ctx context.Context, in *filePath) (*rawOutput, error) {
		c, err := requestFrom(ctx)
		if err != nil {
			return nil, err
		}
		file, content, err := a.deps.Files.Open(ctx, CallerFrom(ctx).UserID, in.FileID.ID)
		if err != nil {
			return nil, err
		}
		return &rawOutput{func(huma.Context) { a.serveFile(c, file, content) }}, nil
	})
}

// serveFile answers with a file, or the part of it that is asked for. What a browser does not show without danger it
// gets as a download, and of no type that it would know: also where a page makes a blob: of it.
func (a *API) serveFile(c *gin.Context, file *model.File, content io.ReadSeekCloser) {
	h := c.Writer.Header()
	disposition, contentType := "attachment", "application/octet-stream"
	if service.Shown(file.Type) {
		disposition, contentType = "inline", file.Type
	}
	if named := mime.FormatMediaType(disposition, map[string]string{"filename": file.Name}); named != "" {
		disposition = named
	}
	h.Set("Content-Disposition", disposition)
	h.Set("Content-Type", contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", filePolicy)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "private, no-cache") // kept by the browser, and asked for each time: who left sees it no more
	h.Set("ETag", `"`+file.SHA256+`"`)
	r := c.Request
	if r.Context().Value(headKey{}) != nil {
		head := *r
		head.Method = http.MethodHead
		r = &head
	}
	if strings.Contains(r.Header.Get("Range"), ",") { // several at once are a reading of the store each
		whole := *r
		whole.Header = r.Header.Clone()
		whole.Header.Del("Range")
		r = &whole
	}
	w := &pacedWriter{ResponseWriter: c.Writer, control: http.NewResponseController(c.Writer)}
	watched := &watched{ReadSeeker: content}
	http.ServeContent(w, r, "", time.Time{}, watched)
	if err := content.Close(); err != nil {
		a.log.Debug("close a file", "file", file.ID.String(), "error", err)
	}
	switch {
	case w.beyond:
		h.Del("Content-Disposition")
		h.Del("Content-Type")
		a.fail(c, model.NewError(model.CodeRangeBeyond, "the file has %d bytes", file.Size))
	case watched.err != nil:
		a.log.Warn("a file could not be read to its end", "file", file.ID.String(), "request_id", requestID(c), "error", watched.err)
		panic(http.ErrAbortHandler) // the client must not take what it got for the whole
	}
}

// watched keeps the error of what is read.
type watched struct {
	io.ReadSeeker
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadSeeker.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err //nolint:wrapcheck // io.EOF must stay itself
}

// paced is the body of an upload: its connection is cut when filePace takes longer than fileTime.
type paced struct {
	io.ReadCloser
	control *http.ResponseController
	left    int // of this filePace
}

func (p *paced) Read(b []byte) (int, error) {
	if p.left <= 0 {
		p.left = filePace
		if err := p.control.SetReadDeadline(time.Now().Add(fileTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return 0, fmt.Errorf("read deadline: %w", err)
		}
	}
	n, err := p.ReadCloser.Read(b)
	p.left -= n
	switch {
	case errors.Is(err, io.EOF): // what comes now is storing it
		if control := p.control.SetReadDeadline(time.Time{}); control != nil && !errors.Is(control, http.ErrNotSupported) {
			return n, fmt.Errorf("read deadline: %w", control)
		}
	case err != nil:
		return n, model.NewError(model.CodeInvalidJSON, "the body did not arrive as a whole")
	}
	return n, err //nolint:wrapcheck // io.EOF must stay itself
}

// pacedWriter is the same for a download. Its answer 416 is left to the caller.
type pacedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	left    int
	beyond  bool
}

func (p *pacedWriter) WriteHeader(status int) {
	if p.beyond = status == http.StatusRequestedRangeNotSatisfiable; !p.beyond {
		p.ResponseWriter.WriteHeader(status)
	}
}

func (p *pacedWriter) Write(b []byte) (int, error) {
	if p.beyond {
		return len(b), nil
	}
	for written := 0; ; {
		if p.left <= 0 {
			p.left = filePace
			if err := p.control.SetWriteDeadline(time.Now().Add(fileTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
				return written, fmt.Errorf("write deadline: %w", err)
			}
		}
		n, err := p.ResponseWriter.Write(b[written:min(len(b), written+p.left)])
		p.left -= n
		if written += n; err != nil || written == len(b) {
			return written, err //nolint:wrapcheck // net/http's own
		}
	}
}
