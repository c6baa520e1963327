"""Scale-equivariant convolutions of other papers, which discretise the scales: SESN and DISCO."""
