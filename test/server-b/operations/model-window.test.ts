import { expect } from 'chai';
import { centreWindow } from '../../../server-b/operations/model-window.ts';

describe('centreWindow', () => {
  it('scales the shorter side exactly and rounds the longer side down', () => {
    // 256 × 500 / 375 = 341.33, 256 × 1000 / 667 = 383.81
    expect(centreWindow({ width: 500, height: 375 }, 256, 224).scaled).to.deep.equal({ width: 341, height: 256 });
    expect(centreWindow({ width: 667, height: 1000 }, 256, 224).scaled).to.deep.equal({ width: 256, height: 383 });
    expect(centreWindow({ width: 100, height: 100 }, 256, 224).scaled).to.deep.equal({ width: 256, height: 256 });
  });

  it('cuts out the centre, half a pixel to the even neighbour', () => {
    // 341 - 224 = 117, half is 58.5; 383 - 224 = 159, half is 79.5
    expect(centreWindow({ width: 500, height: 375 }, 256, 224)).to.include({ left: 58, top: 16, side: 224 });
    expect(centreWindow({ width: 667, height: 1000 }, 256, 224)).to.include({ left: 16, top: 80 });
  });
});
