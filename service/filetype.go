package service

import (
	"bytes"
	"image"
	_ "image/gif"  // for image.DecodeConfig
	_ "image/jpeg" // for image.DecodeConfig
	_ "image/png"  // for image.DecodeConfig
	"mime"
	"net/http"
	"slices"
	"strings"

	_ "golang.org/x/image/webp" // for image.DecodeConfig

	"ackbox/model"
)

// maxPixels bounds an image: 250 million is more than cameras make, and what a client can still decode.
const maxPixels = 250_000_000

// unknownType is what bytes are that claim nothing.
const unknownType = "application/octet-stream"

// looksLike is what http.DetectContentType makes of the beginning of a file of each type that it may know: what
// claims the type and looks otherwise is refused. Of a type that is not here the content must look like nothing in particular.
var looksLike = map[string][]string{
	"image/jpeg": {"image/jpeg"}, "image/png": {"image/png"}, "image/gif": {"image/gif"}, "image/webp": {"image/webp"},
	"image/bmp": {"image/bmp"}, "image/x-icon": {"image/x-icon"}, "image/vnd.microsoft.icon": {"image/x-icon"},
	"audio/mpeg": {"audio/mpeg", unknownType}, "audio/mp4": {"video/mp4", unknownType}, "audio/webm": {"video/webm"}, "audio/ogg": {"application/ogg"},
	"audio/wav": {"audio/wave"}, "audio/x-wav": {"audio/wave"}, "audio/aiff": {"audio/aiff"}, "audio/midi": {"audio/midi"},
	"video/mp4": {"video/mp4", unknownType}, "video/webm": {"video/webm"}, "video/ogg": {"application/ogg"}, "video/x-msvideo": {"video/avi"},
	"application/pdf": {"application/pdf"}, "application/zip": {"application/zip"}, "application/gzip": {"application/x-gzip"}, "application/vnd.rar": {"application/x-rar-compressed"},
	"text/plain": {"text/plain"}, "text/csv": {"text/plain"}, "text/markdown": {"text/plain"}, "application/json": {"text/plain"},
	"text/html": {"text/html", "text/plain"}, "image/svg+xml": {"text/xml", "text/plain"}, "text/xml": {"text/xml", "text/plain"}, "application/xml": {"text/xml", "text/plain"},
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document":   {"application/zip"},
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         {"application/zip"},
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": {"application/zip"},
	"application/vnd.oasis.opendocument.text":                                   {"application/zip"}, "application/vnd.oasis.opendocument.spreadsheet": {"application/zip"}, "application/vnd.oasis.opendocument.presentation": {"application/zip"},
}

// inlineTypes are shown by browsers, and run nothing.
var inlineTypes = []string{
	"image/jpeg", "image/png", "image/gif", "image/webp", "audio/mpeg", "audio/mp4", "audio/ogg", "audio/wav", "audio/webm", "video/mp4", "video/ogg", "video/webm",
}

// dimensioned are the types whose width and height are read; what cannot be read as one is refused.
var dimensioned = []string{"image/jpeg", "image/png", "image/gif", "image/webp"}

// Shown says whether a browser may show a file of this type in the place of a page. All others are
// downloads of no particular type, whatever they claim to be.
func Shown(mediaType string) bool { return slices.Contains(inlineTypes, mediaType) }

// mediaType is a Content-Type without its parameters; unknownType when there is none.
func mediaType(contentType string) (string, error) {
	if contentType == "" {
		return unknownType, nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil || len(media) > 100 || strings.Count(media, "/") != 1 {
		return "", model.NewError(model.CodeFileRefused, "the Content-Type is no media type such as image/png")
	}
	return media, nil
}

// checkLook is CodeFileRefused when a file does not begin as its type does.
func checkLook(media string, head []byte) error {
	if media == unknownType {
		return nil // claims nothing, and is a download
	}
	look, _, _ := strings.Cut(http.DetectContentType(head), ";")
	if looks, known := looksLike[media]; known && slices.Contains(looks, look) || !known && look == unknownType {
		return nil
	}
	return model.NewError(model.CodeFileRefused, "the content does not look like %s; send it as %s to make it a download", media, unknownType)
}

// dimensions reads the size of an image from its beginning, and nothing of its pixels. 0, 0 when the
// beginning is cut off before it says.
func dimensions(media string, head []byte, whole bool) (width, height int64, err error) {
	if !slices.Contains(dimensioned, media) {
		return 0, 0, nil
	}
	config, _, err := image.DecodeConfig(bytes.NewReader(head))
	switch {
	case err != nil && !whole:
		return 0, 0, nil
	case err != nil || config.Width < 1 || config.Height < 1:
		return 0, 0, model.NewError(model.CodeFileRefused, "this cannot be read as %s", media)
	case int64(config.Width)*int64(config.Height) > maxPixels:
		return 0, 0, model.NewError(model.CodeFileRefused, "an image may have %d pixels, this one has %d × %d", maxPixels, config.Width, config.Height)
	}
	return int64(config.Width), int64(config.Height), nil
}
