import { expect } from 'chai';
import { Shutter } from '../../../bin/camera/run-camera.ts';

describe('shutter', () => {
  it('takes one picture after another, and one more however many presses arrive during a snap', async () => {
    let atOnce = 0;
    let taken = 0;
    const shutter = new Shutter(async () => {
      atOnce += 1;
      expect(atOnce).to.equal(1);
      await new Promise((resolve) => setImmediate(resolve));
      taken += 1;
      atOnce -= 1;
    });
    shutter.press();
    await shutter.rest();
    expect(taken).to.equal(1);
    for (let press = 0; press < 10; press += 1) shutter.press();
    await shutter.rest();
    expect(taken).to.equal(3);
  });
});
