// stb_image_resize, which makes pictures larger and smaller. https://github.com/nothings/stb
#define STB_IMAGE_RESIZE_IMPLEMENTATION
#include <stb_image_resize.h>
