"""All six."""

from lighthouse import LIGHTHOUSE
from lodestar import LODESTAR
from nimbus import NIMBUS
from prysm import PRYSM
from teku import TEKU
from vero import VERO

CLIENTS = (LIGHTHOUSE, PRYSM, TEKU, NIMBUS, LODESTAR, VERO)
