// What the operations draw by, and the cost of a job counts by: numbers only, for the main thread loads no sharp.

/** Pixels the shorter side is scaled to before the centre is cut out (the model's page in the onnx/models zoo). */
export const CLASSIFY_SIDE = 256;

/**
 * The largest scale at which one decode for all operations is cheaper than one each. A JPEG shrinks while it loads,
 * which a shared decode at the largest output's size gives up for the smaller ones. CPU of shared ÷ separate decodes
 * for a resize, a circle and a classification, by bench/shared-decode.ts: JPEG 0.70 at scale 0.25, 0.83 at 0.5, near 1
 * above (photographs: up to 1.2); WebP 0.48 at 0.25, 0.84 at 1; PNG 0.41 and 0.79; AVIF 0.37 and 0.56.
 */
export const MAX_SHARED_SCALE = 1;
/** The same for JPEG. */
export const MAX_SHARED_JPEG_SCALE = 0.55;
