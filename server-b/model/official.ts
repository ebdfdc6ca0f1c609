/** A file of the official classifier: where it is published, its size and its sha256. */
export interface ModelSource {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Addresses, tried one after another. */
  readonly addresses: readonly string[];
}

/** The commit of onnx/models that added the model; its Git LFS pointer there names the sha256 below. */
const COMMIT = 'd209075a2adeff0431e512d7947280d2c633b441';
const LARGE_FILES = 'https://media.githubusercontent.com/media/onnx/models';
const PLAIN_FILES = 'https://raw.githubusercontent.com/onnx/models';

/** MobileNetV2 1.0/224 in int8 (QDQ), Apache-2.0, of the onnx/models zoo. */
export const OFFICIAL_MODEL: ModelSource = {
  name: 'mobilenetv2-12-qdq.onnx',
  bytes: 3_593_903,
  sha256: '41a36090dafe98f4ad8f9b7fe0b218c56ac3c031e547f0367c30655d2702bffe',
  addresses: [
    `${LARGE_FILES}/${COMMIT}/vision/classification/mobilenet/model/mobilenetv2-12-qdq.onnx`,
    'https://github.com/onnx/models/raw/main/validated/vision/classification/mobilenet/model/mobilenetv2-12-qdq.onnx',
  ],
};

/** The 1000 ImageNet-1k classes, one a line. */
export const OFFICIAL_SYNSET: ModelSource = {
  name: 'synset.txt',
  bytes: 31_675,
  sha256: 'acf75ef0abe89694b19056e0796401068b459c457baa30335f240c7692857355',
  addresses: [
    `${PLAIN_FILES}/${COMMIT}/vision/classification/synset.txt`,
    `${PLAIN_FILES}/main/validated/vision/classification/synset.txt`,
  ],
};
