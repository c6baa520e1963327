"""Scale-equivariant convolutions with discrete scales: SESN and DISCO."""
