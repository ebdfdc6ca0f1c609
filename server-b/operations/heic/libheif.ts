import { createRequire } from 'node:module';
import type { Decoded } from './messages.ts';

// libheif's C API, compiled to WebAssembly with the HEVC decoder libde265 (the package libheif-js). Pointers are numbers;
// structures are read and written by their offsets on a 32-bit machine (libheif/api/libheif/*.h, version 1.23).

/** The functions that are used here. A function whose C version returns a heif_error gets a pointer to it first. */
interface Api {
  readonly HEAPU8: Uint8Array;
  readonly HEAPU32: Uint32Array;
  _malloc(bytes: number): number;
  _heif_context_alloc(): number;
  _heif_context_read_from_memory_without_copy(
    error: number,
    context: number,
    bytes: number,
    length: number,
    options: 0,
  ): void;
  _heif_context_get_primary_image_handle(error: number, context: number, handle: number): void;
  _heif_image_handle_has_alpha_channel(handle: number): number;
  _heif_image_handle_is_premultiplied_alpha(handle: number): number;
  _heif_image_handle_get_raw_color_profile_size(handle: number): number;
  _heif_image_handle_get_raw_color_profile(error: number, handle: number, profile: number): void;
  _heif_image_handle_get_nclx_color_profile(error: number, handle: number, profile: number): void;
  _heif_decoding_options_alloc(): number;
  _heif_decode_image(
    error: number,
    handle: number,
    image: number,
    space: number,
    chroma: number,
    options: number,
  ): void;
  _heif_image_get_width(image: number, channel: number): number;
  _heif_image_get_height(image: number, channel: number): number;
  _heif_image_get_plane_readonly(image: number, channel: number, stride: number): number;
}

/** What the Node typings do not have of WebAssembly. */
declare const WebAssembly: {
  readonly Instance: new (module: object, imports: object) => object;
  readonly Memory: { readonly prototype: { grow(pages: number): number } };
};

const PAGE_BYTES = 65_536;
/** Enumerations of libheif: heif_colorspace_RGB, heif_chroma_interleaved_RGB and _RGBA, heif_channel_interleaved. */
const RGB = 1;
const INTERLEAVED_RGB = 10;
const INTERLEAVED_RGBA = 11;
const INTERLEAVED = 10;
/** Offset of `strict_decoding` in heif_decoding_options: without it, the tiles that are missing in a file stay black. */
const STRICT = 21;
/** Offset of `color_primaries` in heif_color_profile_nclx, as an index of 32-bit numbers. */
const PRIMARIES = 1;
/** Longest ICC profile that is used, in bytes. */
const MAX_PROFILE_BYTES = 4 * 1024 * 1024;

/**
 * Decodes the primary item of a HEIF file. Throws an Error with libheif's message when it cannot. Use a thread for each
 * picture: the memory of a WebAssembly instance never shrinks. It grows to at most `maxBytes`.
 */
export function decodeHeif(module: object, file: Uint8Array, maxBytes: number): Decoded {
  limitMemory(maxBytes);
  const api = instantiate(module);
  const error = api._malloc(12);
  const slot = api._malloc(4);
  const check = () => checkError(api, error);
  const context = api._heif_context_alloc();
  const bytes = api._malloc(file.length);
  if (bytes === 0) throw new Error('no memory for the file');
  api.HEAPU8.set(file, bytes);
  api._heif_context_read_from_memory_without_copy(error, context, bytes, file.length, 0);
  check();
  api._heif_context_get_primary_image_handle(error, context, slot);
  check();
  const handle = pointerAt(api, slot);
  const alpha = api._heif_image_handle_has_alpha_channel(handle) !== 0;
  const options = api._heif_decoding_options_alloc();
  api.HEAPU8[options + STRICT] = 1;
  api._heif_decode_image(error, handle, slot, RGB, alpha ? INTERLEAVED_RGBA : INTERLEAVED_RGB, options);
  check();
  const picture = readPixels(api, pointerAt(api, slot), alpha ? 4 : 3);
  if (alpha && api._heif_image_handle_is_premultiplied_alpha(handle) !== 0) unpremultiply(picture.pixels);
  return { ...picture, icc: readProfile(api, handle, error), primaries: readPrimaries(api, handle, error, slot) };
}

/**
 * Bounds the memory of all instances in this thread: a file whose pixels are larger than its header says must not take
 * more than was reserved. An allocation beyond it fails inside libheif.
 */
function limitMemory(maxBytes: number): void {
  const { prototype } = WebAssembly.Memory;
  const { grow } = prototype;
  let grown = 0;
  prototype.grow = function growWithin(pages: number): number {
    if ((grown + pages) * PAGE_BYTES > maxBytes) throw new RangeError('beyond the memory of this picture');
    const before = grow.call(this, pages);
    grown += pages;
    return before;
  };
}

function instantiate(module: object): Api {
  const load: (options: object) => Api = createRequire(import.meta.url)('libheif-js/libheif-wasm/libheif.js');
  return load({
    instantiateWasm: (imports: object, receive: (instance: object) => object) =>
      receive(new WebAssembly.Instance(module, imports)),
    print: () => {},
    printErr: () => {},
  });
}

/** Throws the message of the heif_error at a pointer, unless its code is heif_error_Ok. */
function checkError(api: Api, error: number): void {
  const code = pointerAt(api, error);
  if (code === 0) return;
  const start = pointerAt(api, error + 8);
  const text = Buffer.from(api.HEAPU8.subarray(start, api.HEAPU8.indexOf(0, start))).toString('latin1');
  throw new Error(`libheif ${code}: ${text.trim()}`);
}

function pointerAt(api: Api, address: number): number {
  return api.HEAPU32[address / 4] ?? 0;
}

function readPixels(
  api: Api,
  image: number,
  channels: 3 | 4,
): Pick<Decoded, 'width' | 'height' | 'channels' | 'pixels'> {
  const width = api._heif_image_get_width(image, INTERLEAVED);
  const height = api._heif_image_get_height(image, INTERLEAVED);
  const stride = api._malloc(4);
  const start = api._heif_image_get_plane_readonly(image, INTERLEAVED, stride);
  const row = width * channels;
  const step = pointerAt(api, stride);
  if (start === 0 || width < 1 || height < 1 || step < row) throw new Error('libheif gave no pixels');
  const pixels = new Uint8Array(row * height);
  for (let y = 0; y < height; y += 1) {
    pixels.set(api.HEAPU8.subarray(start + y * step, start + y * step + row), y * row);
  }
  return { width, height, channels, pixels };
}

/** Divides the colours by alpha, as the other decoders give them. */
function unpremultiply(pixels: Uint8Array): void {
  for (let offset = 0; offset < pixels.length; offset += 4) {
    const alpha = pixels[offset + 3] ?? 0;
    if (alpha === 0 || alpha === 255) continue;
    for (let channel = offset; channel < offset + 3; channel += 1) {
      pixels[channel] = Math.min(255, Math.round(((pixels[channel] ?? 0) * 255) / alpha));
    }
  }
}

function readProfile(api: Api, handle: number, error: number): Uint8Array<ArrayBuffer> | null {
  const length = api._heif_image_handle_get_raw_color_profile_size(handle);
  if (length === 0 || length > MAX_PROFILE_BYTES) return null;
  const start = api._malloc(length);
  api._heif_image_handle_get_raw_color_profile(error, handle, start);
  return start === 0 || pointerAt(api, error) !== 0 ? null : new Uint8Array(api.HEAPU8.subarray(start, start + length));
}

function readPrimaries(api: Api, handle: number, error: number, slot: number): number | null {
  api._heif_image_handle_get_nclx_color_profile(error, handle, slot);
  return pointerAt(api, error) === 0 ? pointerAt(api, pointerAt(api, slot) + 4 * PRIMARIES) : null;
}
