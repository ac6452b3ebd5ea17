#include "runtime/data/decode_image.h"

#include "runtime/support/text.h"

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <jpeglib.h>
#include <memory>
#include <png.h>

namespace dnn::runtime {

namespace {

constexpr int64_t mostPixels = int64_t{1} << 28;

Status bad(const std::string& path, const std::string& what) {
  return failure(ExitCode::BadInput, "`%s` %s", path.c_str(), what.c_str());
}

Status checkPixels(const std::string& path, int64_t height, int64_t width) {
  return height >= 1 && width >= 1 && height <= mostPixels / width
             ? success()
             : bad(path, format("says that it has %lld × %lld pixels, which is more than an image of data may have",
                                static_cast<long long>(height), static_cast<long long>(width)));
}

bool isPng(const std::vector<uint8_t>& file) {
  static constexpr uint8_t start[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  return file.size() >= sizeof start && std::memcmp(file.data(), start, sizeof start) == 0;
}

bool isJpeg(const std::vector<uint8_t>& file) {
  return file.size() >= 3 && file[0] == 0xff && file[1] == 0xd8 && file[2] == 0xff;
}

struct PngEnd {
  void operator()(png_image* image) const { png_image_free(image); }
};

Status beginPng(const std::vector<uint8_t>& file, const std::string& path, png_image& image) {
  image = {};
  image.version = PNG_IMAGE_VERSION;
  if (png_image_begin_read_from_memory(&image, file.data(), file.size()) == 0) {
    return bad(path, format("is damaged: %s", image.message));
  }
  return checkPixels(path, image.height, image.width);
}

Status decodePng(const std::vector<uint8_t>& file, const std::string& path, Image& image) {
  // The byte behind the sizes in the header chunk. libpng would scale 16 bits down without a word.
  constexpr size_t depthAt = 24;
  png_image png;
  Status status = beginPng(file, path, png);
  std::unique_ptr<png_image, PngEnd> end(&png);
  if (!status.ok()) {
    return status;
  }
  if (file.size() > depthAt && file[depthAt] == 16) {
    return bad(path, "has 16 bits a channel; convert it to 8");
  }
  bool color = (png.format & PNG_FORMAT_FLAG_COLOR) != 0;
  bool alpha = (png.format & PNG_FORMAT_FLAG_ALPHA) != 0;
  // Grey with opacity is read as colours with opacity: one way less.
  png.format = alpha ? PNG_FORMAT_RGBA : color ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  image.channels = alpha ? 4 : color ? 3 : 1;
  image.height = png.height;
  image.width = png.width;
  image.pixels.resize(PNG_IMAGE_SIZE(png));
  if (png_image_finish_read(&png, nullptr, image.pixels.data(), 0, nullptr) == 0 || (png.warning_or_error & 2) != 0) {
    return bad(path, format("is truncated or damaged: %s", png.message));
  }
  return success();
}

/// libjpeg reports by calls that must not return. What it only warns of, an early end most of all, would leave grey
/// areas: an error here.
struct JpegErrors {
  jpeg_error_mgr base; // the first member: libjpeg knows this one
  jmp_buf back;
  char message[JMSG_LENGTH_MAX];

  [[noreturn]] static void fail(j_common_ptr decoder) {
    auto* errors = reinterpret_cast<JpegErrors*>(decoder->err);
    errors->base.format_message(decoder, errors->message);
    longjmp(errors->back, 1);
  }
  static void emit(j_common_ptr decoder, int level) {
    if (level < 0) {
      fail(decoder);
    }
  }
};

/// A decoder and its file. Members are plain, so that a jump out of libjpeg leaves nothing half destroyed.
class Jpeg {
public:
  explicit Jpeg(const std::vector<uint8_t>& file) : file_(file) {
    decoder_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = JpegErrors::fail;
    errors_.base.emit_message = JpegErrors::emit;
  }
  ~Jpeg() { jpeg_destroy_decompress(&decoder_); }
  Jpeg(const Jpeg&) = delete;

  /// False: errors() says why.
  bool readHeader() {
    if (setjmp(errors_.back) != 0) {
      return false;
    }
    jpeg_create_decompress(&decoder_);
    jpeg_mem_src(&decoder_, file_.data(), file_.size());
    jpeg_read_header(&decoder_, TRUE);
    return true;
  }
  /// Rows of `channels` (1 or 3) bytes a pixel, one behind the other.
  bool readPixels(uint8_t* pixels, size_t channels) {
    if (setjmp(errors_.back) != 0) {
      return false;
    }
    decoder_.out_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    decoder_.dct_method = JDCT_ISLOW; // the same with and without vector instructions
    jpeg_start_decompress(&decoder_);
    while (decoder_.output_scanline < decoder_.output_height) {
      JSAMPROW row = pixels + decoder_.output_scanline * decoder_.output_width * channels;
      jpeg_read_scanlines(&decoder_, &row, 1);
    }
    jpeg_finish_decompress(&decoder_);
    return true;
  }

  const char* message() const { return errors_.message; }
  int64_t height() const { return decoder_.image_height; }
  int64_t width() const { return decoder_.image_width; }
  bool isGrey() const { return decoder_.jpeg_color_space == JCS_GRAYSCALE; }
  bool isCmyk() const { return decoder_.jpeg_color_space == JCS_CMYK || decoder_.jpeg_color_space == JCS_YCCK; }

private:
  const std::vector<uint8_t>& file_;
  jpeg_decompress_struct decoder_ = {};
  JpegErrors errors_ = {};
};

Status beginJpeg(Jpeg& jpeg, const std::string& path) {
  if (!jpeg.readHeader()) {
    return bad(path, format("is truncated or damaged: %s", jpeg.message()));
  }
  if (jpeg.isCmyk()) {
    return bad(path, "has the four colours of a printer (CMYK); convert it to RGB");
  }
  return checkPixels(path, jpeg.height(), jpeg.width());
}

Status decodeJpeg(const std::vector<uint8_t>& file, const std::string& path, Image& image) {
  Jpeg jpeg(file);
  if (Status status = beginJpeg(jpeg, path); !status.ok()) {
    return status;
  }
  image.channels = jpeg.isGrey() ? 1 : 3;
  image.height = jpeg.height();
  image.width = jpeg.width();
  image.pixels.resize(static_cast<size_t>(image.height * image.width * image.channels));
  return jpeg.readPixels(image.pixels.data(), static_cast<size_t>(image.channels))
             ? success()
             : bad(path, format("is truncated or damaged: %s", jpeg.message()));
}

Status checkKind(const std::vector<uint8_t>& file, const std::string& path) {
  if (file.empty()) {
    return bad(path, "is empty");
  }
  return isPng(file) || isJpeg(file) ? success() : bad(path, "is neither a PNG nor a JPEG file");
}

Status toChannels(const std::string& path, int64_t channels, Image& image) {
  if (image.channels == channels) {
    return success();
  }
  auto pixels = static_cast<size_t>(image.height * image.width);
  auto from = static_cast<size_t>(image.channels);
  auto to = static_cast<size_t>(channels);
  std::vector<uint8_t> result(pixels * to);
  for (size_t p = 0; p < pixels; ++p) {
    const uint8_t* in = image.pixels.data() + p * from;
    uint8_t* out = result.data() + p * to;
    uint8_t opacity = from == 4 ? in[3] : 255;
    if (opacity != 255 && to != 4) {
      return bad(path, "has transparent pixels, and says nothing of what is behind them; ask for `channels = 4`, or "
                       "make it opaque");
    }
    if (to == 1) {
      out[0] = static_cast<uint8_t>((299u * in[0] + 587u * in[1] + 114u * in[2] + 500u) / 1000u);
      continue;
    }
    for (size_t c = 0; c < 3; ++c) {
      out[c] = from == 1 ? in[0] : in[c];
    }
    if (to == 4) {
      out[3] = opacity;
    }
  }
  image.pixels = std::move(result);
  image.channels = channels;
  return success();
}

} // namespace

Status decodeImage(const std::vector<uint8_t>& file, const std::string& path, int64_t channels, Image& image) {
  Status status = checkKind(file, path);
  if (status.ok()) {
    status = isPng(file) ? decodePng(file, path, image) : decodeJpeg(file, path, image);
  }
  return status.ok() ? toChannels(path, channels, image) : status;
}

Status imageSize(const std::vector<uint8_t>& file, const std::string& path, int64_t& height, int64_t& width) {
  Status status = checkKind(file, path);
  if (!status.ok()) {
    return status;
  }
  if (isPng(file)) {
    png_image png;
    status = beginPng(file, path, png);
    height = png.height;
    width = png.width;
    png_image_free(&png);
    return status;
  }
  Jpeg jpeg(file);
  status = beginJpeg(jpeg, path);
  height = jpeg.height();
  width = jpeg.width();
  return status;
}

} // namespace dnn::runtime
