// stb_image, which turns the bytes of PNG, JPEG and BMP files into pixels. https://github.com/nothings/stb
#define STB_IMAGE_IMPLEMENTATION
#include "data/decoder_stb_image.h"
